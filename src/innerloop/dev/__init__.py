"""Watch, sync, restart, forward, logs, terminal."""
