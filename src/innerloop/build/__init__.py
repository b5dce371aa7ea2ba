"""Images: content tags, builders, and where the results go."""
