"""A trained network, text -> text: going on from a prompt, filling masks, filling spans."""

from foretoken.generation.fill_mask import fill_mask
from foretoken.generation.infilling import infill
from foretoken.generation.load import open_model
from foretoken.generation.model import Model
from foretoken.generation.sampling import sample

__all__ = ["Model", "fill_mask", "infill", "open_model", "sample"]
