"""From template and configuration file to text and objects."""
