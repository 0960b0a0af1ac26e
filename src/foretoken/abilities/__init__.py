"""ScoreTable -> what scale buys beyond loss: shapes, emergence, the way to a level, the gain of shots."""

from foretoken.abilities.classify import scores
from foretoken.abilities.table import ScoreTable, read_scores

__all__ = ["ScoreTable", "read_scores", "scores"]
