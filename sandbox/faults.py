"""What can go wrong on the way: faults injected into answers at stated rates, in an order fixed by the seed.

The rates are shares of requests, or of trade messages on the socket, and add up; each meets at most one fault. Requests
and socket messages draw from generators of their own. The object may be changed while the server runs.
"""

from dataclasses import dataclass, field

import numpy as np

KINDS = ("429", "500", "reset", "truncated", "html")
SOCKET_KINDS = ("silent", "drop", "duplicate", "reorder", "gap")


@dataclass
class Faults:
    """`rate_429` is a spurious 429 inside the budget, `rate_reset` closes the connection without an answer,
    `rate_truncated` stops in the middle of the body, `rate_html` answers 200 with a web page.

    On the socket: `rate_silent` leaves the connection open and never says anything on it again, pongs included;
    `rate_drop` cuts it without a close frame; `rate_duplicate` sends the message twice, `rate_reorder` after the next
    one; `rate_gap` loses it and the `gap_messages - 1` after it. While `silence` is set every open socket falls silent
    for good. `clock_skew_ms` is added to the times of trades.
    """

    rate_429: float = 0.0
    rate_500: float = 0.0
    rate_reset: float = 0.0
    rate_truncated: float = 0.0
    rate_html: float = 0.0
    delay_s: float = 0.0
    storm_429: bool = False
    seed: int = 0
    rate_silent: float = 0.0
    rate_drop: float = 0.0
    rate_duplicate: float = 0.0
    rate_reorder: float = 0.0
    rate_gap: float = 0.0
    gap_messages: int = 1
    silence: bool = False
    clock_skew_ms: int = 0
    met: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._socket_rng = np.random.default_rng([self.seed, 1])

    def next(self) -> str | None:
        """The fault that the next request meets, if any."""
        draw = float(self._rng.random())
        return self._met("429" if self.storm_429 else self._drawn(KINDS, draw))

    def next_on_socket(self) -> str | None:
        """The fault that the next trade message meets, if any."""
        return self._met(self._drawn(SOCKET_KINDS, float(self._socket_rng.random())))

    def _met(self, kind: str | None) -> str | None:
        if kind is not None:
            self.met[kind] = self.met.get(kind, 0) + 1
        return kind

    def _drawn(self, kinds: tuple[str, ...], draw: float) -> str | None:
        rates = [getattr(self, f"rate_{kind}") for kind in kinds]
        for kind, edge in zip(kinds, np.cumsum(rates), strict=True):
            if draw < edge:
                return kind
        return None
