"""Python plugins of a project: functions registered on hook points, as renderers, builders or commands."""
