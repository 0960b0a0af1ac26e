"""Scores of a trained model on tasks: log-probabilities, choices, answers written freely."""

from foretoken.scoring.next_tokens import NextToken, NextTokens, next_tokens
from foretoken.scoring.score import ModelScores, score, score_network

__all__ = ["ModelScores", "NextToken", "NextTokens", "next_tokens", "score", "score_network"]
