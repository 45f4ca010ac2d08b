"""What proves that the core is the same: digests of inputs, and the influence of parameters."""
