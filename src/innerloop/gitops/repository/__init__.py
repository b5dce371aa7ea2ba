"""The GitOps repository, by the git program."""
