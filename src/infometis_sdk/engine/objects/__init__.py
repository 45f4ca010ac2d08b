"""What is known of Kubernetes objects as values: paths, owners, marks, kinds, quantities."""
