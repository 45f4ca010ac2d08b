"""Apache NiFi, as data: ``service.yaml``, ``templates/`` and ``files/``."""
