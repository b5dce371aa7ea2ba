"""What was changed by hand on the cluster, as a patch of the templates that it was rendered from."""
