"""Generates src/calls/c_library.tbl: `python3 -m tools.c_library --help`."""
