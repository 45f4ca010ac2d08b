"""What is known of the hosts: their facts, our mark on them, and what forbids to use them. Pure."""
