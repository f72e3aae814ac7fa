"""Who traded with whom: the fills of a venue's tape as trades with a buyer and a seller.

The tape holds the traders' fills; what the makers took follows from the traders' net, because the makers share it in
fixed parts. Within one batch, minute and coin (and side, when it is a liquidation) both sides are equal and are matched
in account order. Replaying the trades therefore gives every account's size, makers included. Arrays only.
"""

from dataclasses import dataclass

import numpy as np

from liqtruth.sandbox.market.ledger import LIQUIDATION, Tape
from liqtruth.sandbox.market.listings import Ints
from liqtruth.sandbox.market.population import Flags
from liqtruth.sandbox.market.venue import VenueResult, makers_target


@dataclass(frozen=True)
class Trades:
    """One row per trade in time order; `lots` > 0, `bought` is true where the buyer came to the market (was the taker).

    `liquidated` is the account whose position was closed by force, -1 for an ordinary trade; `order` is the tape row of
    the taker's fill.
    """

    point: Ints
    coin: Ints
    lots: Ints
    px: Ints
    buyer: Ints
    seller: Ints
    bought: Flags
    order: Ints
    liquidated: Ints
    isolated: Flags
    backstop: Flags

    def of(self, rows: Ints | slice) -> "Trades":
        return Trades(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def until(self, point: int) -> "Trades":
        """Those at or before `point`; row numbers stay the same."""
        return self.of(slice(int(np.searchsorted(self.point, point, side="right"))))

    @property
    def size(self) -> int:
        return self.point.size


@dataclass(frozen=True)
class _Orders:
    """Both sides' fills; `group` numbers what is matched together, `row` is the tape row or -1 for a maker."""

    group: Ints
    account: Ints
    lots: Ints
    row: Ints


def matched_trades(result: VenueResult) -> Trades:
    """All trades of the venue's tape so far."""
    tape = result.tape
    order, group = _groups(tape)
    traders = _Orders(group, tape.account[order], tape.lots[order], order)
    first = order[np.flatnonzero(np.diff(group, prepend=-1))]
    makers = _makers(result, first, traders)
    everybody = _Orders(
        *(np.concatenate([getattr(traders, name), getattr(makers, name)]) for name in _Orders.__annotations__)
    )
    return _match(tape, first, everybody)


def _groups(tape: Tape) -> tuple[Ints, Ints]:
    """Tape rows in the order in which they are matched, and the number of each row's group."""
    side = np.where(tape.kind == LIQUIDATION, np.sign(tape.lots), 0)
    keys = (tape.account, tape.coin, side, tape.batch, tape.point)
    order = np.lexsort(keys)
    changed = np.zeros(order.size, np.bool_)
    for key in keys[1:]:
        changed |= np.diff(key[order], prepend=-2) != 0
    return order, np.cumsum(changed) - 1


def _makers(result: VenueResult, first: Ints, traders: _Orders) -> _Orders:
    """What each maker took in each group: its share of the net after the group less its share before."""
    coin, bought = result.tape.coin[first], np.zeros(first.size, np.int64)
    np.add.at(bought, traders.group, traders.lots)
    parts = []
    for column in range(len(result.rules.assets)):
        groups = np.flatnonzero(coin == column)
        inventory = makers_target(result.maker_share, -np.cumsum(bought[groups]))
        taken = np.diff(inventory, prepend=0)
        maker, place = np.nonzero(taken)
        parts.append((groups[place], maker, taken[maker, place]))
    group, account, lots = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Orders(group, account, lots, np.full(group.size, -1))


def _match(tape: Tape, first: Ints, orders: _Orders) -> Trades:
    """Lay both sides end to end, group after group; every stretch between two ends is one trade."""
    buys, sells = _side(orders, 1), _side(orders, -1)
    bought_to, sold_to = np.cumsum(buys.lots), np.cumsum(-sells.lots)
    ends = np.union1d(bought_to, sold_to)
    buy, sell = np.searchsorted(bought_to, ends), np.searchsorted(sold_to, ends)
    row_of_buy, row_of_sell = buys.row[buy], sells.row[sell]
    both = (row_of_buy >= 0) & (row_of_sell >= 0)
    bought = np.where(both, np.arange(ends.size) % 2 == 0, row_of_buy >= 0)
    order = np.where(bought, row_of_buy, row_of_sell)
    forced = tape.kind[order] == LIQUIDATION
    start = first[buys.group[buy]]
    return Trades(
        point=tape.point[start],
        coin=tape.coin[start],
        lots=np.diff(ends, prepend=0),
        px=tape.px[order],
        buyer=buys.account[buy],
        seller=sells.account[sell],
        bought=bought,
        order=order,
        liquidated=np.where(forced, tape.account[order], -1),
        isolated=tape.isolated[order],
        backstop=tape.backstop[order],
    )


def _side(orders: _Orders, sign: int) -> _Orders:
    chosen = np.flatnonzero(np.sign(orders.lots) == sign)
    chosen = chosen[np.lexsort((orders.account[chosen], orders.group[chosen]))]
    return _Orders(*(getattr(orders, name)[chosen] for name in _Orders.__annotations__))
