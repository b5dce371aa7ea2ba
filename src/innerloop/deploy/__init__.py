"""Apply, inventory, prune, readiness, purge."""
