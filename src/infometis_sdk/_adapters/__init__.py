"""Adapters: the only homes of the Kubernetes client and of files on disk."""
