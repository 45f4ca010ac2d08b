"""What Traefik loaded, and what the outside gets: asked, and held against what was promised."""
