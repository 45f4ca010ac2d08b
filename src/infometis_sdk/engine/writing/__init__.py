"""The one writer: its lock, its books, its waves of writes."""
