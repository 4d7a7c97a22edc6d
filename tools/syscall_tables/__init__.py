"""Makes src/resolve/tables: `python3 -m tools.syscall_tables --help`."""
