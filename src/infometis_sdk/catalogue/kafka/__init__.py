"""Apache Kafka in KRaft mode, as data: ``service.yaml``, ``templates/`` and ``files/``."""
