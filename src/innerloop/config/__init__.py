"""loop.yaml and .env to the model."""
