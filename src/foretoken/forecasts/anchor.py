"""An anchor: one line that names a frozen forecast by its sha256, to be kept where its owner cannot change it.

Who owns a folder can write all of it anew, seals and chain included. What was said elsewhere, before, cannot be unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foretoken.arguments import named_arguments
from foretoken.errors import ForetokenError
from foretoken.results import Result
from foretoken.store.chain import Chain, Link

LINE = re.compile(
    r"foretoken forecast (?P<name>\S[^\x00-\x1f]{0,200}?) sha256:(?P<sha256>[0-9a-f]{64})"
    r" data:(?P<data_sha256>[0-9a-f]{0,64}) version:(?P<version>[\w.+-]{1,40})"
)


@dataclass(frozen=True)
class Anchor:
    """What the line says."""

    name: str
    """Of the forecast."""
    sha256: str
    """Of the forecast's file, which names all that was in the ledger before it."""
    data_sha256: str
    """Of the run table behind it."""
    version: str
    """Of foretoken."""

    def __str__(self) -> str:
        return f"foretoken forecast {self.name} sha256:{self.sha256} data:{self.data_sha256} version:{self.version}"

    @classmethod
    def parse(cls, line: str) -> Anchor:
        """The inverse of `str`. Raises ForetokenError for what is no such line."""
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise ForetokenError(
                "this is no line that proves a forecast",
                expected="foretoken forecast NAME sha256:... data:... version:..., as ledger freeze printed it",
                got=repr(line),
                cure="give the whole line, in quotes",
            )
        return cls(match["name"], match["sha256"], match["data_sha256"], match["version"])

    @classmethod
    def of(cls, link: Link) -> Anchor:
        """The line of a frozen forecast's file."""
        known = {key: str(link.values_json.get(key, "")) for key in ("data_sha256", "version")}
        return cls(link.path.stem, link.sha256, known["data_sha256"], known["version"])


@dataclass(frozen=True)
class AnchorCheck(Result):
    """Whether a ledger holds what a line says."""

    anchor: Anchor
    differences: tuple[str, ...]
    """What is not as the line says, a sentence each."""
    before: int
    """Files that were in the ledger before the forecast, and are as they were."""

    @property
    def holds(self) -> bool:
        """Whether all is as it was when the line was made."""
        return not self.differences


@named_arguments
def check_anchor(folder: str | Path, line: str) -> AnchorCheck:
    """Hold a ledger against a line that `freeze` gave: the forecast, its data, the version, and all that was before it.

    Args:
        folder: the ledger's folder.
        line: as it was printed.

    Raises ForetokenError for what is no such line, StoreError for a ledger with a damaged file.

    >>> check_anchor("ledger", "a forecast of mine")
    Traceback (most recent call last):
        ...
    foretoken.errors.ForetokenError: this is no line that proves a forecast
      expected: foretoken forecast NAME sha256:... data:... version:..., as ledger freeze printed it
      got: 'a forecast of mine'
      cure: give the whole line, in quotes

    """
    anchor = Anchor.parse(line)
    chain = Chain.read(Path(folder), alone=False)
    name = f"{anchor.name}.json"
    before = chain.before(name)
    faults = [fault for fault in chain.faults if fault.path.name in before]
    differences = [*_differences(anchor, chain.links.get(name)), *(f"{one.path}: {one.problem}" for one in faults)]
    return AnchorCheck(anchor, tuple(differences), len(before) - len(faults))


def _differences(said: Anchor, link: Link | None) -> Iterator[str]:
    if link is None:
        yield f"there is no forecast {said.name}"
        return
    found = Anchor.of(link)
    for what, key in (("forecast", "sha256"), ("data", "data_sha256"), ("version", "version")):
        mine, theirs = getattr(found, key), getattr(said, key)
        if mine != theirs:
            yield f"another {what}: the line says {theirs or 'none'}, the ledger {mine or 'none'}"
