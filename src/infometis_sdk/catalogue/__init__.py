"""Services that ship with the SDK, as data; registered like those of any plugin."""
