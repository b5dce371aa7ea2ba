"""The built-in cluster: Kubernetes' own components on this Linux machine, in namespaces of their own."""
