"""Benchmarks: what `make bench` runs and `docs/benchmarks.md` reports."""
