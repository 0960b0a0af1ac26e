"""Map a function over jobs: worker processes on this machine, and what the machine can do. No torch."""
