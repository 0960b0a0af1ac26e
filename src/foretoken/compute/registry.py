"""A TOML file of named entries as a mapping that is read when an entry is first asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError, shown

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """The entries of a file beside this one, by id.

    `entry_from_json(id, values, values_of_all)` makes one; `what` names its kind in messages.
    """

    def __init__(
        self, file: str, what: str, entry_from_json: Callable[[str, dict[str, Any], dict[str, Any]], Entry]
    ) -> None:
        self.file, self.what, self.entry_from_json = file, what, entry_from_json
        self.entries: dict[str, Entry] | None = None

    def __getitem__(self, name: str) -> Entry:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def find(self, name: str) -> Entry:
        """The entry of this id; raises ForetokenError with the nearest ids."""
        if name not in self:
            near = nearest(name, self, 4) or list(self)[:4]
            raise ForetokenError(f"unknown {self.what} {shown(name)}", expected=f"nearest known: {', '.join(near)}")
        return self[name]

    def _entries(self) -> dict[str, Entry]:
        if self.entries is None:
            tables = tomllib.loads(Path(__file__).with_name(self.file).read_text(encoding="utf-8"))
            self.entries = {name: self.entry_from_json(name, values, tables) for name, values in tables.items()}
        return self.entries
