"""The installation: definitions, rights, workload and Services of Traefik as one version set."""
