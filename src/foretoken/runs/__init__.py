"""The waist: study file, RunSpec -> RunRecord -> RunTable, and the store. No torch."""
