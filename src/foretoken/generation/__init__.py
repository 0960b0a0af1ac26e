"""A trained network, text -> text: continuing a prompt, filling masks, filling spans."""

from foretoken.generation.fill_mask import MaskedText, fill_mask
from foretoken.generation.infill import InfilledText, infill
from foretoken.generation.load import ModelSource, open_model
from foretoken.generation.model import Model
from foretoken.generation.sampling import Samples, sample

__all__ = [
    "InfilledText",
    "MaskedText",
    "Model",
    "ModelSource",
    "Samples",
    "fill_mask",
    "infill",
    "open_model",
    "sample",
]
