"""The two forms in which Traefik is told of routes: custom resources, or a file."""
