"""Two recipes -> which of them wins at a compute; many recipes -> how well a small size ranks them."""

from foretoken.versus.versus import versus

__all__ = ["versus"]
