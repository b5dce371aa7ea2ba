"""What people see: subscribers to events, nothing else."""
