"""HyperEVM's JSON-RPC over a synthetic market: eth_chainId, eth_blockNumber, eth_getBlockByNumber of the latest,
eth_getLogs of deposits, and eth_call of Multicall3's `aggregate3` over the read precompiles. Request in, answer out, no
network here; coding of its own, shared with no reader.

A precompile costs 2,000 gas and 65 per byte of its input and output. One whose arguments are not known burns what gas
is left, and so its whole batch, which is then refused like one that is too large.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from liqtruth.sandbox.hyperliquid.accounts import AccountBook, listing
from liqtruth.sandbox.hyperliquid.deposits import DepositLogs, TooMuch
from liqtruth.sandbox.hyperliquid.node_state import HEIGHT
from liqtruth.sandbox.market.listings import Ints

Json = Any
Result = list[int]
MULTICALL3: Final = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE3: Final = "82ad56cb"
BASE_GAS, GAS_PER_BYTE, GAS_PER_CALL, INTRINSIC_GAS = 2_000, 65, 1_000, 21_000
BLOCK_MS: Final = 100
DIGITS: Final = 64
"""Hexadecimal digits of a word."""


@dataclass
class EvmNode:
    """How the node behaves; may be changed while it runs. `gas_cap` is what a call may use, `most_bytes` what it may
    send, `lag_blocks` how far the node is behind."""

    chain_id: int = 999
    gas_cap: int = 8_000_000
    most_bytes: int = 1_000_000
    lag_blocks: int = 0
    usd_scale: int = 1
    """By which amounts in USD are multiplied: another unit than is documented; `lot_scale` does it to sizes,
    `isolated_scale` to the cash leg of isolated positions. `perp_shift` moves the names of perps to other numbers."""
    lot_scale: int = 1
    isolated_scale: int = 1
    perp_shift: int = 0


class Refused(Exception):
    """What a node answers with an error instead of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class EvmEndpoint:
    """Answers as of the market's moment."""

    book: AccountBook
    node: EvmNode

    def answer(self, body: Json) -> Json:
        """A JSON-RPC answer: a result or an error."""
        number = body.get("id") if isinstance(body, Mapping) else None
        try:
            return {"jsonrpc": "2.0", "id": number, "result": self._result(body)}
        except Refused as error:
            return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}

    def _result(self, body: Json) -> Json:
        if not isinstance(body, Mapping) or not isinstance(body.get("params"), list):
            raise Refused(-32600, "invalid request")
        method, params = body.get("method"), body["params"]
        if method == "eth_chainId":
            return hex(self.node.chain_id)
        if method == "eth_blockNumber":
            return hex(self.block // 10)
        if method == "eth_getLogs" and params and isinstance(params[0], Mapping):
            return self._logs(params[0])
        if method == "eth_getBlockByNumber":
            return {"number": hex(self.block // 10), "timestamp": hex(self._time_ms // 1000)}
        if method == "eth_call" and params and isinstance(params[0], Mapping):
            return self._call(str(params[0].get("to")).lower(), str(params[0].get("data")))
        raise Refused(-32601, f"the method {method} does not exist/is not available")

    def _logs(self, asked: Json) -> Json:
        try:
            return DepositLogs.of(self.book.market).answer(asked, self.block // 10)
        except TooMuch as error:
            raise Refused(-32602, str(error)) from None

    @property
    def _time_ms(self) -> int:
        """As far as the node is."""
        return self.book._time_ms - BLOCK_MS * self.node.lag_blocks

    @property
    def block(self) -> int:
        """Of HyperCore."""
        return HEIGHT + self._time_ms // BLOCK_MS

    def _call(self, to: str, data: str) -> str:
        if to != MULTICALL3:
            return "0x"
        digits = data.removeprefix("0x")
        if len(digits) // 2 > self.node.most_bytes:
            raise Refused(-32000, "oversized data")
        if digits[:8] != AGGREGATE3:
            raise Refused(3, "execution reverted")
        return "0x" + _results(self._run(calls_of(digits[8:]), INTRINSIC_GAS + 8 * len(digits)))

    def _run(self, calls: list[tuple[int, str]], gas: int) -> list[str]:
        """The bytes that each call returns; raises `Refused` once all gas is burnt."""
        returned = []
        for target, arguments in calls:
            result = self._precompile(target, arguments)
            size = len(arguments) // 2 + 32 * len(result)
            gas += GAS_PER_CALL + BASE_GAS + GAS_PER_BYTE * size
            if not result or gas > self.node.gas_cap:
                raise Refused(-32000, "out of gas")
            returned.append("".join(word(value) for value in result))
        return returned

    def _precompile(self, target: int, arguments: str) -> Result:
        """Its results; none for arguments that it does not know."""
        known: dict[int, tuple[int, Callable[..., Result]]] = {
            0x800: (2, self._position),
            0x813: (2, self._position),
            0x809: (0, lambda: [self.block]),
            0x80F: (2, self._margin_summary),
            0x806: (1, lambda perp: self._price(perp, self.book.mark)),
            0x807: (1, lambda perp: self._price(perp, self.book.oracle)),
            0x80A: (1, self._asset_info),
            0x810: (1, lambda user: [int(f"0x{user:040x}" in self.book.row_of)]),
        }
        count, read = known.get(target, (-1, lambda: []))
        if len(arguments) != DIGITS * count:
            return []
        return read(*(int(arguments[at : at + DIGITS], 16) for at in range(0, len(arguments), DIGITS)))

    def _margin_summary(self, dex: int, user: int) -> Result:
        """accountValue, marginUsed, ntlPos, rawUsd, as the info endpoint has them in `marginSummary`."""
        main, *built = dict.fromkeys(asset.dex for asset in self.book.market.spec.assets)
        dexes = [main, *[None] * self.book.protocol.disabled, *built]
        if dex >= len(dexes) or dexes[dex] is None:
            return []
        shown = self.book.clearinghouse(f"0x{user:040x}", str(dexes[dex]))["marginSummary"]
        names = ("accountValue", "totalMarginUsed", "totalNtlPos", "totalRawUsd")
        return [self.node.usd_scale * micro(shown[name]) for name in names]

    def _price(self, perp: int, units: Ints) -> Result:
        """In 10^-(6 - szDecimals) USD."""
        column = self.book.column_of(perp)
        return [] if column is None else [int(units[column])]

    def _asset_info(self, perp: int) -> Result:
        """The words of `(string coin, uint32 marginTableId, uint8 szDecimals, uint8 maxLeverage, bool onlyIsolated)`,
        which begin where the first one says."""
        column = self.book.column_of(perp + self.node.perp_shift)
        if column is None:
            return []
        asset = self.book._assets[column]
        row, name = listing(asset), asset.name.encode()
        facts = [row["marginTableId"], row["szDecimals"], row["maxLeverage"], int("onlyIsolated" in row)]
        return [0x20, 0xA0, *facts, len(name), int.from_bytes(name.ljust(32, b"\0"), "big")]

    def _position(self, user: int, perp: int) -> Result:
        """szi, entryNtl, isolatedRawUsd, leverage, isIsolated."""
        row, column = self.book.row_of.get(f"0x{user:040x}"), self.book.column_of(perp)
        if column is None:
            return []
        ledger = self.book.market.hyperliquid.ledger
        if row is None or not ledger.lots[row, column]:
            return [0, 0, 0, 0, 0]
        isolated = bool(ledger.isolated[row, column])
        return [
            self.node.lot_scale * int(ledger.lots[row, column]),
            self.node.usd_scale * abs(int(ledger.cost[row, column])),
            self.node.usd_scale
            * self.node.isolated_scale
            * int(ledger.isolated_cash[row, column])
            * isolated,
            int(ledger.leverage[row, column]),
            int(isolated),
        ]


def calls_of(digits: str) -> list[tuple[int, str]]:
    """Target and arguments of each call in the encoded `(address, bool, bytes)[]`."""

    def number(at: int) -> int:
        return int(digits[at : at + DIGITS] or "0", 16)

    start = 2 * number(0) + DIGITS
    calls = []
    for index in range(number(start - DIGITS)):
        at = start + 2 * number(start + DIGITS * index)
        data = at + 2 * number(at + 2 * DIGITS)
        calls.append((number(at), digits[data + DIGITS : data + DIGITS + 2 * number(data)]))
    return calls


def _results(returned: list[str]) -> str:
    """`(bool, bytes)[]` in which every call succeeded."""
    heads, bodies, at = [], [], 32 * len(returned)
    for content in returned:
        heads.append(word(at))
        bodies.append(word(1) + word(0x40) + word(len(content) // 2) + content)
        at += len(bodies[-1]) // 2
    return word(0x20) + word(len(returned)) + "".join(heads) + "".join(bodies)


def word(value: int) -> str:
    return f"{value % 2**256:064x}"


def micro(usd: str) -> int:
    """`-13009.454678` as a whole number of micro-dollars."""
    whole, _, fraction = usd.lstrip("-").partition(".")
    return (-1 if usd.startswith("-") else 1) * int(whole + fraction.ljust(6, "0")[:6])
