"""Is it ready, and if not, why? From single objects to a health report."""
