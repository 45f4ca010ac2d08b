"""A web server that says who it is, as an installable service."""
