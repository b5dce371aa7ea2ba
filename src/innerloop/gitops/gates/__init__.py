"""What an environment's manifests are checked for before a pull request is made."""
