"""The session: a graph of steps with content-addressed inputs."""
