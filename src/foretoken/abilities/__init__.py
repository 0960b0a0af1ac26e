"""ScoreTable -> what scale buys beyond loss: shapes, emergence, levels, shots; answers with counts -> the long tail."""

from foretoken.abilities.answers import CountedAnswer
from foretoken.abilities.classify import scores
from foretoken.abilities.long_tail import tail
from foretoken.abilities.table import ScoreTable, read_scores

__all__ = ["CountedAnswer", "ScoreTable", "read_scores", "scores", "tail"]
