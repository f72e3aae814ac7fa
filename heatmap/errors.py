"""Errors of the whole project: one root, so that the command line maps any of them to an exit code.

LiqtruthError                 exit 1: a check failed or data is missing
├── BadInput                  exit 2: a value, file or option that cannot be used
│   ├── heatmap.MapFileError
│   ├── storage.TableRefused
│   ├── indexer.WireError ...
├── MissingData               exit 1: nothing stored answers the question
├── SourceUnreachable         exit 3: a host did not answer, retryable
└── PartlyRead                exit 3: part of what was asked for could not be read, the rest is stored or shown
"""

from typing import ClassVar, Final

ERROR_PREFIX: Final = "error: "
LONGEST_PRINTED: Final = 300
LONGEST_LINE: Final = LONGEST_PRINTED - len(ERROR_PREFIX)
"""So that the whole line, prefix included, is no longer than `LONGEST_PRINTED`."""
KEPT_OF_THE_END: Final = 120


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """`text` on one line of at most `most` printable characters, whatever it holds.

    White space is folded, what does not print is escaped, and a long text loses its middle: it begins with what is
    wrong and ends with the remedy.
    """
    if len(text) > 8 * most:  # no work on what is cut anyway
        text = f"{text[: 4 * most]} {text[-4 * most :]}"
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in " ".join(text.split())
    )
    if len(shown) <= most:
        return shown
    end = min(KEPT_OF_THE_END, most // 2)
    return f"{shown[: most - end - 3]} … {shown[-end:]}"


class LiqtruthError(Exception):
    """Root of all errors that a user can act on; its text is one printable line with the value and the remedy.

    Examples
    --------
    >>> try:
    ...     lake.exact_map("BTV")
    ... except lt.LiqtruthError as error:
    ...     print(error, error.exit_code)
    no coin 'BTV' is stored; did you mean BTC? 2
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        return one_line(super().__str__())


class BadInput(LiqtruthError):
    """A value, file or option that cannot be used as it is."""

    exit_code = 2


class MissingData(LiqtruthError):
    """Nothing stored answers the question; the message names the command that would fetch or import it."""


class SourceUnreachable(LiqtruthError):
    """A host did not answer, or answered with a fault that a later try may not meet."""

    exit_code = 3
    retryable = True


class PartlyRead(LiqtruthError):
    """Part of what was asked for could not be read; what could be is stored or shown already."""

    exit_code = 3
    retryable = True


class MapFileError(BadInput):
    """A file that is not a heatmap, or one of another schema version."""
