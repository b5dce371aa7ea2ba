"""From what is rendered to one pull request, and back."""
