"""How the benchmarks speak: lines that whoever reads through a pipe sees at once, and the head of a command line."""

import argparse
import sys


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def command_line(described: str | None) -> argparse.ArgumentParser:
    """A command line described by the text of its module, as it is written there."""
    return argparse.ArgumentParser(
        description=described, formatter_class=argparse.RawDescriptionHelpFormatter
    )
