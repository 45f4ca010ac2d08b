"""Routes: from the neutral words of a scene to Traefik's routers, middlewares and TLS options.

The result is a :class:`~.values.Routing`; how it is written down, as custom resources or as a
file, is the matter of :mod:`infometis_border_traefik.writers`.
"""
