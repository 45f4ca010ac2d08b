"""What a cluster can do, what a stack needs of it, and how either is proved."""
