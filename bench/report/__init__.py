"""Writes what the benchmark found into docs/PERFORMANCE.md: tables, plots and notes. Run as `python -m report`."""
