"""Reading a cluster with few requests, side by side."""
