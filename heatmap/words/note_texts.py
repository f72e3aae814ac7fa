"""The English text of each note: one text per code, a format string or a function of the values.

Beside Python's own formats a text may use the forms of `FORMS` (`{open_interest_usd:usd}`), and `counted:NOUN`.
Texts of series and models stand in `heatmap.modelling_texts`, of comparisons in `comparison_texts`, of what
is wrong with a map in `diagnosis_texts`, of scores over time and fits in `scoring_texts`.
"""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final

from liqtruth.heatmap.words.comparison_texts import COMPARED
from liqtruth.heatmap.words.diagnosis_texts import DIAGNOSED
from liqtruth.heatmap.words.modelling_texts import MODELLING
from liqtruth.heatmap.words.scoring_texts import SCORED
from liqtruth.heatmap.words.text import age, by_side, counted, hours, percent, usd, venue_words

Values = Mapping[str, Any]


def in_english(code: str, values: Values) -> str:
    """Raises `LookupError`, `TypeError` or `ValueError` where the values are not those of the code."""
    text = TEXTS[code]
    return _ENGLISH.vformat(text, (), values) if isinstance(text, str) else text(values)


class _English(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        form, _, noun = format_spec.partition(":")
        if form == "counted":
            return counted(value, noun)
        return FORMS[form](value) if form in FORMS else format(value, format_spec)


FORMS: Final[dict[str, Callable[[Any], str]]] = {
    "usd": usd,
    "percent": percent,
    "percent0": lambda share: percent(share, 0),
    "age": age,
    "hours": hours,
    "by_side": by_side,
    "pair": lambda shares: " / ".join(f"{share:.1%}" for share in shares),
    "names": ", ".join,
    "venue": venue_words,
    "venues": lambda venues: ", ".join(map(venue_words, venues)),
    "rates": lambda rates: ", ".join(f"{rate:g}" for rate in rates),
}
_ENGLISH: Final = _English()


def _whales(values: Values) -> str:
    where = f"within {values['within_pct']:.0f} % of the mark"
    if values["share"] is None:
        return f"whales hold nothing {where}, and the crowd neither"
    effective = ", ".join(
        f"{count:,.0f} {side}" for count, side in zip(values["effective"], ("long", "short"), strict=True)
    )
    return (
        f"whales hold {percent(values['share'], 0)} of what lies {where}: "
        f"{counted(values['whales'], 'position')} beyond {_cut(values)} each; the crowd "
        f"{percent(1 - values['share'], 0)} in {counted(values['crowd'], 'position')} (effective number {effective})"
    )


def _layer(layer: str, counted_as: str) -> Callable[[Values], str]:
    def layer_text(values: Values) -> str:
        long, short = (percent(share) for share in values["shares"])
        cut = f"only the {layer}: of each position {counted_as} {_cut(values)}"
        return f"{cut}; {long} of long and {short} of short mass"

    return layer_text


def _cut(values: Values) -> str:
    """`0.3 % of open interest ($2.4M)`."""
    long, short = (usd(side) for side in values["cut_usd"])
    amount = long if long == short else f"{long} long, {short} short"
    of_what = (
        "open interest"
        if values["of_open_interest"]
        else "what was seen of its side, open interest being unknown"
    )
    return f"{percent(values['cut_share'])} of {of_what} ({amount})"


def _filtered(values: Values) -> str:
    return "only " + "; ".join(f"{name} = {' or '.join(kept)}" for name, kept in values["kept"].items())


def _implied_collateral(values: Values) -> str:
    captured = values["captured_usd"]
    shown = "none was captured" if captured is None else f"{captured:,.2f} was captured"
    return (
        f"{values['address']} on {values['dex']}: prices of {values['positions']} positions imply "
        f"{values['implied_usd']:,.2f} USD of margin available, {shown}; the exchange's are kept"
    )


def _other_margin_table(values: Values) -> str:
    also = f"; {counted(values['others'], 'other table')} would as well" if values["others"] else ""
    return (
        f"{values['coin']}: margin table {values['table']} instead of the listed one for "
        f"{counted(values['positions'], 'position')}, because it gives the exchange's price{also}"
    )


def _margin_tables(values: Values) -> str:
    earlier = f"{values['earlier']} earlier ones and " if values["earlier"] else ""
    later = "; they are later than what was read" if values["later"] else ""
    return f"margin tables of {values['dex']} as stored of {earlier}{', '.join(values['at'])}{later}"


OTHER_MARKS: Final = "the source's are of another moment, or there are none"

TEXTS: Final[dict[str, str | Callable[[Values], str]]] = {
    "text": "{text}",
    # every map
    "filtered": _filtered,
    "whales": _whales,
    "only_crowd": _layer("crowd", "at most"),
    "only_whales": _layer("whales", "what it has above"),
    "distance_only": "half on each side, spread evenly over distances from 0 to {within_pct:.0f} % of the mark",
    # exact maps
    "prices_as_sent": "liquidation prices as the exchange sent them; solved ones only where it sent none",
    "other_marks_still": "a cross price holds all other marks of the account still",
    "valued_at_mark": "notional is valued at the mark",
    "earlier_reading_stands": "between two readings the earlier one stands",
    "synthetic_map": "synthetic: the file states that its map is made up, in the layout of its vendor",
    "synthetic_positions": "synthetic: read from the sandbox, not from an exchange",
    "no_market": "no market data stored: the mark is the median of the positions' own, open interest unknown",
    "stale_positions": "{count} of {positions} positions were read more than {hours:.0f} h before",
    "market_is_older": "mark and open interest are of {as_of}, {older_s:age} older than the last positions",
    "marked_by_positions": (
        "no market row at {at}: the mark is the median of the positions' own, open interest is {older_h:.1f} h older"
    ),
    "watch_is_partial": "partial: the watch has read {read:,} of {accounts:,} accounts (each dex counts) so far",
    "known_to_an_interval": (
        "{count:counted:position} of {usd:usd} are known in size, and their prices to an interval: {least:usd} to "
        "{most:usd} of that lie within {within_pct:g} % of the mark, none is on the map"
    ),
    "part_kept": "{filter}: {count:,} of {positions:,} positions",
    "not_at_once": "{later_usd:usd} of {whole_usd:usd} do not meet the book at once: left out",
    "sold_in_parts": (
        "of more than {above_usd:usd} a {share:.0%} share is sold first; portfolio accounts never"
    ),
    # all coins moved together
    "moves_by_beta": (
        "every mark moves with {coin} by its beta, and a pool's cross positions go together where its equity meets "
        "their maintenance"
    ),
    "moves_alike": (
        "every mark moves with {coin} by the same fraction, and a pool's cross positions go together where its equity "
        "meets their maintenance"
    ),
    "spot_still": "spot collateral is kept constant",
    "closed_in_favour": "{count:counted:position} closed by a move in their favour count as never",
    "below_maintenance": "{count:counted:position} of accounts below maintenance already are booked at the mark",
    "cross_not_read": (
        "{count:counted:account} with cross positions that were not read: those are kept constant"
    ),
    "no_beta": "no beta of {coins:names}: taken as {taken:g}",
    # files of positions
    "implied_collateral": _implied_collateral,
    "more_accounts": "and {count} more accounts like these",
    "other_margin_table": _other_margin_table,
    "more_tables": "and {count} more coins with another table",
    "marks_by_margin": f"marks of {{count:counted:position}} follow from margin used and leverage: {OTHER_MARKS}",
    "marks_by_profit": f"marks of {{count:counted:position}} follow from unrealised profit: {OTHER_MARKS}",
    "closed_passed_over": "{count:counted:closed position} (size zero) passed over",
    "outcomes_passed_over": "{count:counted:row} of outcome markets (#N, +N) passed over: nothing liquidates them",
    "margin_tables": _margin_tables,
    "margin_tables_lacking": "no margin tables of {dex} are stored",
    "no_margin_tables": "no margin tables: prices are the exchange's, unchecked; give --meta",
    "account_not_named": "the answer does not name its account: called {label} (--address names it)",
    "dated_as_given": "the answer has no time: {at} as given",
    "dated_by_path": "the answer has no time: {at} as in its path; or --as-of",
    "dated_by_file": "the answer has no time: {at}, when the file was changed; or --as-of",
    "answers_repeated": "{count:,} answers are there twice, word for word",
    "closed_positions": "{count:,} closed positions (size 0) passed over",
    "files_not_read": "{count:,} other files not read: {names:names}",
    "items_left_out": "{count:,} {kind} left out, e.g. {first}",
    "meta_listed": "{assets} assets, {tables} tiered margin tables",
    "of_dex": "of the dex {dex}",
    "columns_not_used": "columns not used: {names:names}",
    "layout_lacks": "{layout} files do not have: {names:names}",
    "scan_in_part": "a scan of mode {mode!r}, not full: taken for a reading of its accounts, not for a census",
    "pages_missing": (
        "{count:,} of {total} pages: taken for a reading of their accounts; all pages in one file are a census"
    ),
    "pages_not_numbered": (
        "the file does not state that it lists every holder: taken for a reading of its accounts; if it does, --census"
    ),
    "one_coin_of_accounts": (
        "a reading of accounts that lists {coin} alone: what they were known to hold of other coins stays as it was"
    ),
    "margin_modes_unclear": "{count:counted:position} without a margin mode: not one of two leverages is filled",
    "positions_again": "{count:counted:position} there again at a later time: the latest counts",
    "rows_stated": "the file states {stated:,} positions and has {count:,}: is it whole?",
    "coins_renamed": "names of coins: {names:names}",
    "rows_of_size_zero": "{count} rows of size 0 left out",
    "rows_repeated": "{count} rows repeated word for word left out",
    "moments_are_censuses": (
        "{count:,} moments: each is taken to list all accounts then; if each account has its own time, --accounts"
    ),
    "moments_of_accounts": (
        "{count:,} moments: taken for accounts each as of its own time; if each moment lists all accounts, --census"
    ),
    "times_of_accounts": (
        "{count:,} accounts have rows of several times: each account is taken as of its latest"
    ),
    "contradiction_kept": "kept as given: {where}",
    "rows_contradict": "rows left out: {where}",
    "cells_contradict": "cells of {column} left out: {where}",
    "past_own_price": (
        "{count:,} of {positions:,} positions ({share:percent} of their notional) are past their own liquidation "
        "price: kept, the map books them at the mark"
    ),
    **MODELLING,
    # maps of vendors
    "mark_given": "the file states no price: sides are split at {mark_px:,.6g}, as given",
    "moment_of_file": "the file states no moment: {at} is the file's own time",
    "moment_by_age": "the file states no moment but its age: {at} is the file's own time less that age",
    "vendor_prices": (
        "the file has prices from {low_px:,.6g} to {high_px:,.6g} ({below_pct:+.1f} to {above_pct:+.1f} % from the "
        "mark); nothing is known beyond"
    ),
    "exact_of": "positions as {provider} has read them: how large the largest are is not known here",
    "unit_unknown": (
        "{vendor} does not state what its amounts are (notional, collateral or relative): only shapes compare"
    ),
    "revalued_at_mark": "{vendor} values a position at its liquidation price; here it is valued at the mark",
    "unit_percent": "amounts are percent of the map, not USD: only shapes compare",
    "tiers_present": "the sum of positions at {has:names}",
    "tiers_missing": (
        "only positions at {has:names}, none at {missing:names}: what lies further than about {reach:percent0} from an "
        "entry price needs less than {lowest:g}x and is absent by construction"
    ),
    "side_contradicted": (
        "{count} levels ({share:percent} of the amounts) left out: their named side is contradicted by the price "
        "{mark_px:,.6g}"
    ),
    "sum_of_venues": "the sum of {names:names}",
    "totals_left_out": "{names:names} left out: a sum, not one more among what it sums",
    "total_rows_left_out": "{count} rows called {names:names} left out: sums, not levels",
    "empty_parts": "nothing in the file of {names:names}",
    "empty_cells": "{count} empty cells count as zero",
    "map_of_file": "the map {name}, one of {count} maps in the file: {names}",
    "column_of_file": "the column of {name}, {place} of {count} in the file",
    "levels_of_total": "the levels hold {share:percent} of the {usd:usd} that the provider states in all",
    "ranges_missing": lambda values: (
        "only some of the provider's ranges are in the file"
        + ("" if values["share"] is None else f", with {100 * values['share']:.0f} % of the amounts")
        + ": it is no exact map"
    ),
    "not_in_buckets": "{usd:usd} is in no bucket: the vendor flags it as cross exposure of builder dexes",
    "stated_stale": "{vendor} itself marks the map as stale",
    "picture_read": lambda values: (
        f"read from a picture ({values['form']}, {values['width']} x {values['height']} pixels): its columns "
        f"{values['first']} to {values['last']}, by the colours of {values['palette']}"
        + (f" at {','.join(map(str, values['bar']))}" if values["bar"] else "")
        + ", taken as even from none to the most"
    ),
    "picture_axis": lambda values: (
        f"{values['rows']} rows of pixels on {'a logarithmic' if values['is_log'] else 'an even'} axis: one is "
        f"{values['step_px']:,.6g} ({values['step_pct']:.3f} % of price), and nothing finer is known"
    ),
    "picture_levels": (
        "{count} levels of one height, {rows:.2f} rows of pixels, were found by their steps, and are read as such"
    ),
    "picture_accuracy": lambda values: (
        f"read to within about {values['w1_pct']:.2g} % of price (W1), as far as the picture shows it: rows of pixels "
        f"{values['rows_pct']:.2g}, packing {values['packing_pct']:.2g}, what is too faint {values['faint_pct']:.2g}"
        + (
            f"; less than {values['floor']:.1%} of the most cannot be told from none"
            if values["floor"] > 0
            else ""
        )
    ),
    "picture_behind": (
        "of {rows} rows of pixels {behind} have something drawn over their last columns (labels), and are read to the "
        "left of it, as they were a little earlier"
    ),
    "picture_left_out": (
        "of {rows} rows of pixels {left_out} have no colour of the palette (candles, lines, text) and count as none; "
        "{filled} more are filled from their neighbours"
    ),
    "cut_to_common": (
        "compared from {low_pct:+.1f} to {high_pct:+.1f} % of the mark, the range that all maps cover; cut off: "
        "{shares:by_side} mass"
    ),
    "moments_apart": lambda values: (
        f"its moment is {age(values['gap_s'])} {values['when']} the truth's: "
        f"{'the truth' if values['when'] == 'after' else 'the map'} is the older of the two."
    ),
    "moment_ago": "of {at}, {age_s:age} ago.",
    "marks_apart": "its mark is {basis_pct:+.2f} % from the truth's ({model_px:,.6g} and {truth_px:,.6g}).",
    "shifted": (
        "seen from {after_px:,.6g} instead of its own mark {before_px:,.6g}: levels stay at their prices, and "
        "{swept:percent} of the amounts lie between both marks and count as swept"
    ),
    **COMPARED,
    **DIAGNOSED,
    **SCORED,
}
