"""The thin runner: it does on the hosts, in order, what the plan says."""
