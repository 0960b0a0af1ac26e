"""`foretoken`, and `python -m foretoken`."""

from foretoken.interrupts import interruptible


def main() -> None:
    """Run the command line; it can be interrupted from its first import on."""
    with interruptible():
        from foretoken.cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
