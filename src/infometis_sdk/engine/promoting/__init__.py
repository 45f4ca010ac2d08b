"""What a promotion decides on values alone: gates, and whether a target fits."""
