"""A study's folder on disk: atomic, checksummed writes, leases, checkpoints, integrity. No torch."""
