"""Scores of a trained model on tasks: log-probabilities, choices, answers written freely."""
