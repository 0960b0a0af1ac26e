"""Runs that a command of the user's trains: started, watched, read and recorded. No torch."""
