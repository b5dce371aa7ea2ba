"""High-level templates to one stream of low-level manifests."""
