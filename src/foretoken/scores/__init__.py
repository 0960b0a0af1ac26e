"""ScoreTable -> what scale buys beyond loss: shapes, emergence, the way to a level, the gain of shots."""
