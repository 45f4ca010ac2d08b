"""Grafana, as data: ``service.yaml``, ``templates/`` and ``files/``."""
