"""Which files changed, told at once."""
