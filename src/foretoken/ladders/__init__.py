"""Fit or published law + budget -> the small runs that are worth most before the big one."""

from foretoken.ladders.next_run import NextRun, next_run

__all__ = ["NextRun", "next_run"]
