"""How many pods, how much each of them takes, and whether that fits."""
