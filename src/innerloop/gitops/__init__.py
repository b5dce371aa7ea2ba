"""The outer loop: what was rendered, checked and proposed for an environment."""
