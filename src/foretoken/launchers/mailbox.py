"""Messages through a file on a shared disk: one writes lines at its end, one reads those that are new.

Each look opens the file anew and each line is written by one open and close, since that is when network disks bring
what others have written.
"""

from __future__ import annotations

from pathlib import Path

from foretoken.launchers.messages import Message, from_line, to_line
from foretoken.store.atomic import writing


class Mailbox:
    """A file of messages, as its one writer or its one reader has it."""

    def __init__(self, path: Path) -> None:
        self.path, self.read_bytes = path, 0

    def write(self, message: Message) -> None:
        """Add a message. Raises StoreError where the disk is full or the folder gone."""
        with writing(self.path), open(self.path, "ab") as file:
            file.write(to_line(message))

    def read(self) -> list[Message]:
        """The messages that were added since the last look; half a line is left for the next."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.read_bytes)
                new = file.read()
        except FileNotFoundError:
            return []
        lines = new[: new.rfind(b"\n") + 1]
        self.read_bytes += len(lines)
        return [from_line(line) for line in lines.splitlines()]
