"""A forge in the test's process, that speaks the API of each kind and has its quirks."""
