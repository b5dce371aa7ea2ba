"""The agents that reconcile a cluster with a GitOps repository: who owns an object, and how to have them wait."""
