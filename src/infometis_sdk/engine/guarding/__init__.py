"""The guard's parts: pure decisions, and the thin I/O round them."""
