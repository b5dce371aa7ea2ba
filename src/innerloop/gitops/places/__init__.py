"""Where an environment is in the GitOps repository, what it is to have there, and what it has."""
