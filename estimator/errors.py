"""Errors of the estimator.

LiqtruthError
├── BadInput                     exit 2
│   ├── UnknownChoice            a name that is not offered; the message lists those that are
│   └── UnknownMarket            the venue has no perpetual of that coin
├── MissingData                  exit 1
│   ├── SeriesRefused            the series contradict themselves, and it is not known which part is right
│   └── StaleSeries              the series end too long before the moment that was asked for
└── SourceUnreachable            exit 3, worth a retry
    └── BadAnswer                the venue refused, or answered with something other than what it documents
"""

from collections.abc import Iterable

from liqtruth.heatmap.errors import BadInput, MissingData, SourceUnreachable

__all__ = ["BadAnswer", "SeriesRefused", "SourceUnreachable", "StaleSeries", "UnknownChoice", "UnknownMarket"]


class UnknownChoice(BadInput):
    """A name that is not offered."""

    def __init__(self, what: str, given: object, offered: Iterable[object]) -> None:
        super().__init__(f"unknown {what} {given!r}; known: {', '.join(dict.fromkeys(map(str, offered)))}")


class UnknownMarket(BadInput):
    """The venue has no perpetual of that coin."""


class SeriesRefused(MissingData):
    """The stored series contradict themselves, and it is not known which part is right."""


class StaleSeries(MissingData):
    """The stored series end too long before the moment that was asked for."""


class BadAnswer(SourceUnreachable):
    """The venue refused, or answered with something other than what it documents: asking again will not help."""

    retryable = False
