"""What differs between two sets of objects, and how it is told."""
