"""How far a commit is on its way to an environment."""
