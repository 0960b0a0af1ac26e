"""Objectives: (network, inputs, targets) -> loss of each position."""

from __future__ import annotations

from foretoken.objectives.causal import causal

OBJECTIVES = {"causal": causal}
