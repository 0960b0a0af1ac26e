"""RunSpec -> RunRecord. Needs torch (the `train` extra)."""
