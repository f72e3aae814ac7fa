"""Errors of the whole project: one root, so that the command line maps any of them to an exit code.

LiqtruthError                 exit 1: a check failed or data is missing
├── BadInput                  exit 2: a value, file or option that cannot be used
│   ├── heatmap.MapFileError
│   ├── storage.TableRefused
│   ├── indexer.WireError ...
├── MissingData               exit 1: nothing stored answers the question
└── SourceUnreachable         exit 3: a host did not answer, retryable
"""

from typing import ClassVar


class LiqtruthError(Exception):
    """Root of all errors that a user can act on; the message is one line with the value and the remedy."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class BadInput(LiqtruthError):
    """A value, file or option that cannot be used as it is."""

    exit_code = 2


class MissingData(LiqtruthError):
    """Nothing stored answers the question; the message says which command would fetch or import it."""


class SourceUnreachable(LiqtruthError):
    """A host did not answer, or answered with a fault that a later try may not meet."""

    exit_code = 3
    retryable = True


class MapFileError(BadInput):
    """A file that is not a heatmap, or one of another schema version."""
