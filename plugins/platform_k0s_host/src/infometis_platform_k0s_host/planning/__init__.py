"""What k0s is to be told, and in which order to act on the hosts. Pure."""
