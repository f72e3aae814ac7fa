"""Many reads of one precompile as one call of Multicall3's `aggregate3`, coded without an object per read.

Every batch asks for the block of HyperCore first, so that its answers are of a known block. Words are 32 bytes, big
endian; arguments and results are static tuples. Sources: Solidity, "Contract ABI Specification"; Multicall3;
Hyperliquid docs, "Interacting with HyperCore" (addresses, argument and result types of the read precompiles).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import IntArray

Bytes = NDArray[np.uint8]
WORD: Final = 32
MULTICALL3: Final = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE3: Final = bytes.fromhex("82ad56cb")
L1_BLOCK_NUMBER: Final = 0x809
HEAD: Final = 4
"""Words of a call before its arguments: target, whether it may fail, where its bytes begin, how many they are."""
CALL_BYTES_AT, RETURN_BYTES_AT = 0x60, 0x40


class Precompile(NamedTuple):
    """A read of HyperCore. `signed` has an entry per result: whether it may be negative."""

    address: int
    signed: tuple[bool, ...]


POSITION: Final = Precompile(0x800, (True, False, True, False, False))
"""szi (10^-szDecimals), entryNtl, isolatedRawUsd, leverage, isIsolated, of an account in a perp."""
POSITION_2: Final = Precompile(0x813, POSITION.signed)
ACCOUNT_MARGIN_SUMMARY: Final = Precompile(0x80F, (True, False, False, True))
"""accountValue, marginUsed, ntlPos, rawUsd, each in 1e-6 USD, of an account in a dex."""
MARK_PX: Final = Precompile(0x806, (False,))
"""In 10^-(6 - szDecimals) USD, of a perp."""
PERP_ASSET_INFO: Final = 0x80A
CORE_USER_EXISTS: Final = Precompile(0x810, (False,))
"""Whether an address has an account on HyperCore."""


class BrokenAnswer(Exception):
    """Bytes that are no answer to the batch that was sent."""


class Once(NamedTuple):
    """A read that every batch has once, beside the block: what its other answers are valued at. Its result is a word
    without a sign; `arguments` are words of 32 bytes."""

    address: int
    arguments: Bytes


class Batch(NamedTuple):
    """`block` is HyperCore's; `values` are n x results, zero where `is_read` is false; `once` has a number per read of
    that kind, zero where it failed."""

    block: int
    values: IntArray
    is_read: NDArray[np.bool_]
    once: IntArray


def address_words(addresses: list[str]) -> Bytes:
    """One word per address (0x and 40 hexadecimal digits); n x 32."""
    raw = bytes.fromhex("".join(address.removeprefix("0x").rjust(2 * WORD, "0") for address in addresses))
    return np.frombuffer(raw, np.uint8).reshape(-1, WORD)


def number_words(numbers: IntArray) -> Bytes:
    """One word per number, which must not be negative; n x 32."""
    words = np.zeros((len(numbers), WORD), np.uint8)
    words[:, -8:] = np.asarray(numbers).astype(">u8").view(np.uint8).reshape(-1, 8)
    return words


def summary_arguments(dex_number: int, who: Bytes) -> Bytes:
    """Of `ACCOUNT_MARGIN_SUMMARY` of each account in the dex; n x 64."""
    return np.concatenate([number_words(np.full(len(who), dex_number)), who], axis=1)


def position_arguments(who: Bytes, perps: IntArray) -> Bytes:
    """Of `POSITION_2` of each account in the perp beside it; n x 64."""
    return np.concatenate([who, number_words(perps)], axis=1)


def encoded(target: int, arguments: Bytes, once: Sequence[Once] = ()) -> bytes:
    """Call data of `aggregate3` for the block number, what is read `once`, and then one read per row of `arguments`,
    n x 32 k bytes."""
    count, width = arguments.shape
    first = [_call(L1_BLOCK_NUMBER, 0)]
    first += [
        np.concatenate([_call(one.address, one.arguments.size), one.arguments.reshape(-1)]) for one in once
    ]
    head = _call(target, width)
    calls = np.empty((count, head.size + width), np.uint8)
    calls[:, : head.size] = head
    calls[:, head.size :] = arguments
    sizes = np.array([one.size for one in first] + [calls.shape[1]] * count)
    offsets = WORD * sizes.size + np.cumsum(sizes) - sizes
    whole = number_words(np.array([WORD, sizes.size, *offsets]))
    return AGGREGATE3 + whole.tobytes() + b"".join(one.tobytes() for one in first) + calls.tobytes()


def _call(target: int, width: int) -> Bytes:
    return number_words(np.array([target, 1, CALL_BYTES_AT, width])).reshape(-1)


def decoded(content: bytes, count: int, signed: tuple[bool, ...], once: int = 0) -> Batch:
    """The answers to `count` reads, after those to `once` reads of a word; one that failed, is of another length or
    does not fit its type is not read.

    Raises `BrokenAnswer` where the whole is not what `aggregate3` returns, or the block number is missing.
    """
    if len(content) % WORD:
        raise BrokenAnswer(f"{len(content)} bytes are no whole words")
    limbs = np.frombuffer(content, ">u8").astype(np.uint64).reshape(-1, WORD // 8)
    start, calls = _small(limbs, np.array([0])), 1 + once + count
    if start[0] != WORD or _small(limbs, np.array([1]))[0] != calls:
        raise BrokenAnswer(f"not the results of {calls} calls")
    offsets = _small(limbs, 2 + np.arange(calls))
    if (offsets % WORD).any():
        raise BrokenAnswer("results that begin inside a word")
    at = 2 + offsets // WORD
    succeeded = _small(limbs, at)
    if (succeeded > 1).any() or (_small(limbs, at + 1) != RETURN_BYTES_AT).any():
        raise BrokenAnswer("results of another layout")
    lengths = _small(limbs, at + 2)
    if not succeeded[0] or lengths[0] != WORD:
        raise BrokenAnswer("no block number")
    block = int(_small(limbs, at[:1] + 3)[0])
    fits = (succeeded == 1) & (lengths == WORD * np.array([1] * (1 + once) + [len(signed)] * count))
    beside = _rows(limbs, at[1 : 1 + once] + 3, fits[1 : 1 + once], (False,))[0]
    values, is_read = _rows(limbs, at[1 + once :] + 3, fits[1 + once :], signed)
    return Batch(block, values, is_read, beside[:, 0])


def _rows(
    limbs: NDArray[np.uint64], at: IntArray, good: NDArray[np.bool_], signed: tuple[bool, ...]
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Values, zero where they are not read, and which are."""
    if good.any() and at[good].max() + len(signed) > len(limbs):
        raise BrokenAnswer("results that break off")
    values = np.zeros((len(at), len(signed)), np.int64)
    found = limbs[at[good][:, None] + np.arange(len(signed))]
    values[good] = found[..., -1].view(np.int64)
    negative = (found[..., -1] >> np.uint64(63)).astype(np.bool_)
    above = np.where(negative & np.array(signed), np.uint64(2**64 - 1), np.uint64(0))
    fits = (found[..., :-1] == above[..., None]).all(axis=-1) & ~(negative & ~np.array(signed))
    is_read = good.copy()
    is_read[good] = fits.all(axis=1)
    values[~is_read] = 0
    return values, is_read


def asset_info(content: bytes) -> tuple[str, int, int]:
    """Coin, margin table and decimals of sizes of the one perp that was asked for by `PERP_ASSET_INFO`."""
    from eth_abi.abi import decode

    try:
        (results,) = decode(["(bool,bytes)[]"], content)
        _, (went, data) = results
        (name, table, decimals, _, _) = (
            decode(["(string,uint32,uint8,uint8,bool)"], data)[0] if went else _NOTHING
        )
    except (ValueError, OverflowError) as error:
        raise BrokenAnswer(f"no perpAssetInfo ({error})") from None
    return name, table, decimals


_NOTHING: Final = ("", 0, 0, 0, False)


def _small(limbs: NDArray[np.uint64], at: IntArray) -> IntArray:
    """Words that are offsets, lengths, flags or blocks: less than 2^62."""
    if at.max(initial=0) >= len(limbs):
        raise BrokenAnswer("an answer that breaks off")
    words = limbs[at]
    if words[:, :-1].any() or (words[:, -1] >> np.uint64(62)).any():
        raise BrokenAnswer("a number that is too large")
    return words[:, -1].astype(np.int64)
