"""Throw-away local clusters: kind, k3d, minikube, and the built-in node."""
