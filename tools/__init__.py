"""Tools that generate files in this repository."""
