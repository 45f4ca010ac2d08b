"""The offline checks of rendered objects."""
