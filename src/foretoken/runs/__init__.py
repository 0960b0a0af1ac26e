"""The waist: study file, RunSpec -> RunRecord -> RunTable. No torch."""
