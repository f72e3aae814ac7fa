"""What can go wrong while the truth is read; the exit codes are those of the roots in `heatmap.errors`.

LiqtruthError
├── BadInput                      exit 2
│   ├── WireError                 a payload is not what the exchange documents
│   │   └── AnswerMalformed       exit 3: an endpoint gave it, so what was asked for could not be read
│   ├── ImportRefused             a file offered as positions cannot be read as them
│   └── UnknownCoin               no market of that name in what was read
└── SourceUnreachable             exit 3, worth a retry: an endpoint, node or file system did not answer
"""

from liqtruth.heatmap.errors import BadInput, SourceUnreachable

__all__ = ["AnswerMalformed", "ImportRefused", "SourceUnreachable", "UnknownCoin", "WireError"]


class WireError(BadInput):
    """A payload is malformed; the message names its kind, its source, the JSON path and the value."""

    def __init__(self, kind: str, source: str, problem: str) -> None:
        super().__init__(f"{kind} from {source}: {problem}")
        self.kind = kind
        self.source = source
        self.problem = problem


class AnswerMalformed(WireError):
    """An endpoint's answer is malformed: nothing is wrong with what was asked."""

    exit_code = 3


class ImportRefused(BadInput):
    """A file offered as positions was refused; the message names the row, the column and the value."""


class UnknownCoin(BadInput):
    """The coin is not in the universe that was read; the message lists what is near it."""
