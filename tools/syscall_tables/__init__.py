"""Generates src/calls/tables: `python3 -m tools.syscall_tables --help`."""
