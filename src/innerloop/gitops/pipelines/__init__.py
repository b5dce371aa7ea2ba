"""Pipelines of CI systems that do nothing but call ``loop``."""
