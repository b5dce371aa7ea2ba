"""What an environment gets: the renderer of the inner loop, with the environment's values and the lock."""
