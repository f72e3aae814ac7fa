"""The English text of each note: one text per code, a format string or a function of the values.

Beside Python's own formats a text may use the forms of `FORMS` (`{open_interest_usd:usd}`), and `counted:NOUN`.
Texts of comparisons stand in `heatmap.comparison_texts`.
"""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final

from liqtruth.heatmap.comparison_texts import COMPARED
from liqtruth.heatmap.text import age, counted, hours, percent, usd, venue_words

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


def _by_side(shares: tuple[float, float]) -> str:
    """One share where both sides have the same, else one for each."""
    long, short = (f"{share:.1%}" for share in shares)
    return long if long == short else f"{long} of long and {short} of short"


FORMS: Final[dict[str, Callable[[Any], str]]] = {
    "usd": usd,
    "percent": percent,
    "percent0": lambda share: percent(share, 0),
    "age": age,
    "hours": hours,
    "by_side": _by_side,
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


def _not_on_map(values: Values) -> str:
    parts = {
        "before_window": f"older than the window (from {values['window_from']})",
        "swept": "swept by later prices",
        "unassigned": "hedged or without leverage",
        "unallowed": "at leverages that the venue does not allow",
    }
    shares = {part: values[part] for part in parts}
    listed = [
        f"{'none' if share is None else _by_side(share)} {parts[part]}"
        for part, share in shares.items()
        if part == "swept" or any(share or ())
    ]
    return f"not on the map: of open interest {', '.join(listed)}"


def _scaled(values: Values) -> str:
    by = (
        "the highest leverage, {here:g}x where the model's is {reference:g}x"
        if values["coordinate"] != "of-volatility"
        else "volatility, {here:.2%} a day where the model's is {reference:.0%}"
    ).format(**values)
    unlevered = values["unlevered"]
    floored = f"; what falls below 1x ({unlevered:.1%} of shares) is set to 1x" if unlevered > 0 else ""
    which = "leverages that go by the coin" if values["coordinate"] == "mixed" else "leverages"
    return f"{which} are {values['scale']:.3g} times the model's, by {by}{floored}"


def _too_large(values: Values) -> str:
    amount = values["usd"]
    shown = f"{amount / 1e12:.3g} trillion" if amount >= 1e12 else f"{amount / 1e9:.3g} billion"
    return f"WARNING: open interest of {shown} USD, more than any single market has had: is its unit right?"


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


UNIT_CHANGE: Final = (
    "{before:,.6g} to {after:,.6g} coins at {at}, a factor of {factor:,.4g} that no volume explains"
)
LEFT_OUT: Final = "left out, the first of {first}"
OTHER_MARKS: Final = "the source's are of another moment, or there are none"
PRICES: Final = {True: "mark prices", False: "last prices, not marks"}

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
    # series of a venue, as they are
    "synthetic_series": "synthetic: fetched from the sandbox, not from an exchange",
    "no_volume": "{lacking} of {bars} bars have no volume: none is used",
    "no_marks": "no mark prices: levels are swept by last prices, not marks",
    "marks_in_part": "mark prices cover {known} of {bars} bars: last prices, not marks, sweep in the others",
    "history_begins": "history begins at {at}, {late_s:hours} after the window's start",
    "late_open_interest": "open interest is older than a bar at {late} of {bars} bars: its changes come late",
    "open_interest_too_large": _too_large,
    # series of a venue, judged
    "repeated": "{count} {what} stood twice, the first of {first}: the last one counts",
    "unordered": "{what} were not in order of time: sorted",
    "unpriced_candles": f"{{count}} candles with a price of zero, below zero or none {LEFT_OUT}",
    "inverted_candles": f"{{count}} candles whose high or low is inside their open and close {LEFT_OUT}",
    "negative_volume": (
        "{count} candles with a volume below zero: it counts as unknown, the first of {first}"
    ),
    "no_open_interest": f"{{count}} readings of open interest of zero, below zero or none {LEFT_OUT}",
    "units_disagree": (
        "{count} readings of open interest left out because coins and USD disagree (USD are {share:,.4g} times coins "
        "at the price), the first of {first}"
    ),
    "price_leaps": (
        "the price leaps from {before:,.6g} to {after:,.6g} between two bars at {at} (a factor of {factor:,.4g}): "
        "what came before is left out"
    ),
    "gaps_in_candles": (
        "{count} gaps in the candles, {hours:.1f} h in all, the widest {widest_s:hours} before {before}: "
        "prices inside them are unknown"
    ),
    "gaps_in_open_interest": (
        "{count} gaps in the open interest, {hours:.1f} h in all, the widest {widest_s:hours} before {before}: "
        "changes inside them come late"
    ),
    "stands_still": "{what} for {length_s:hours} from {start} to {end}: a frozen feed?",
    "wicks": (
        "{count} bars with a price spike that comes back, the largest of {largest_pct:.0f} % at {at}: kept, for wicks "
        "liquidate"
    ),
    "lone_spikes": (
        "open interest: {count} lone spikes that come back left out, the first at {at} ({coins:,.6g} between "
        "{before:,.6g} and {after:,.6g})"
    ),
    "in_another_unit": "open interest: {count} readings from {at} in another unit left out",
    "unconfirmed": (f"open interest: the last reading left out until another confirms it ({UNIT_CHANGE})"),
    "unit_changes": f"open interest changes its unit: {UNIT_CHANGE}; what came before is left out",
    "more_than_traded": (
        "open interest moves by more than was traded in {count} of {steps} steps, most at {at}: by {coins:+,.6g} coins "
        "on {traded:,.6g} traded; kept"
    ),
    # what a model assumes of leverage
    "weights": "{weights}; the same on both sides",
    "increases_open": (
        "only an increase of open interest opens positions; a decrease closes all earlier ones in proportion"
    ),
    "leverage_model": "{model}",
    "own_shares": "with the shares that were fitted for {coin} itself",
    "not_levelled": "not calibrated to {venue}: shape and level are {whose}'s",
    "volatility_unknown": (
        "leverage is taken by volatility, which is not known here: as of a market of {reference:.0%} a day"
    ),
    "scaled": _scaled,
    "turnover_classes": "{count} turnover classes at {rates:rates} times the market's activity",
    "above_highest": (
        "leverage above the venue's highest of {highest:g}x ({share:.1%} of shares) is null mass"
    ),
    "follows_the_mark": (
        "of open interest {share:by_side} keeps its distance from the mark, whatever its entry: of no age, never swept"
    ),
    "ageless": (
        "what follows the mark (of open interest {share:by_side}) is of no age: a part by age or since a moment leaves "
        "it out"
    ),
    "only_leverage": "only leverage {bands:names} is shown",
    "unbounded_not_levelled": (
        "no bounds: the model is not calibrated to {venue} (liqtruth transfer {venue})"
    ),
    "unbounded": "no bounds: the model was not validated on any held-out map",
    "withheld_nothing_below": (
        "{side} bounds within {distances:rates} % are withheld: so little stands there that they would begin at nothing"
    ),
    "withheld_not_held": (
        "{side} bounds within {distances:rates} % are withheld: on held-out maps they held too rarely"
    ),
    "withheld_other_population": (
        "{side} bounds within {distances:rates} % are withheld: the venue's liquidations are too far from the model's"
    ),
    # what a model assumes of a market
    "brackets": "{source}",
    "clock_by_volume": "activity has the shape of volume and the level of hourly changes of open interest",
    "clock_by_open_interest": (
        "no volume for all bars: activity falls back to the changes of open interest themselves"
    ),
    "isolated": "isolated positions of {usd:,.0f} USD at entry, initial margin only: no fees, no funding",
    "opens_evenly": (
        "what opens in a bar opens on both sides equally, a third each at 1/6, 1/2 and 5/6 of the bar's range"
    ),
    "swept_is_gone": (
        "a level is gone once its entry bar's close or any later bar's range has reached it; what was swept is not put "
        "elsewhere"
    ),
    "bars": lambda values: (
        "{bars} bars from {start}; ".format(**values)
        + ("swept by mark prices" if values["by_marks"] else "last prices, not marks")
    ),
    "rounded": (
        "the source rounds open interest to {step_usd:,.0f} USD: {share:.0%} of modelled openings are not above one "
        "such step"
    ),
    "not_on_map": _not_on_map,
    "uniform": "each side is spread evenly in log price over {reach:.0%} from the mark, whatever happened",
    "by_volume": (
        "open interest is spread over entry prices as volume was in the window; none is older, none was closed"
    ),
    "leverage_lacking": lambda values: (
        f"{values['venue']} has no {' or '.join(f'{one:g}x' for one in values['leverages'])}: left out there"
    ),
    "opened_at_mean": lambda values: (
        "all is opened at {px:,.6g}, the mean price of the last {hours}{weighted}, {away:+.2%} from the mark".format(
            **values,
            hours=hours(values["window_s"]),
            weighted=" weighted by volume" if values["by_volume"] else "",
        )
    ),
    "mean_shape": ("the mean shape of {maps} exact maps of {of} {coin}, the latest of {at}, by distance"),
    "earlier_exact": "the exact map of {of} of {at}; nothing opened since is known",
    "venue_share": "{venue} has {share:percent} of open interest ({usd:usd}), mark {mark_px:,.6g}",
    "added_by_distance": (
        "venues are added by distance from their own marks, around {mark_px:,.6g}, their mark weighted by open interest"
    ),
    # price x time
    "added_over_time": (
        "venues are added by distance from their own last marks, around {mark_px:,.6g}, their mark weighted by open "
        "interest"
    ),
    "venues_lack": "{count} of {moments} moments are not known: one of the venues has no bar there",
    "shortest_history": "from {start}, where the history of {venue} begins",
    "only_since": (
        "only positions opened after {at} are shown; what a bar that holds this moment opened counts as after it"
    ),
    "no_volume_clock": (
        "volume is not known throughout: the clock of turnover is that of |change of open interest|"
    ),
    "steps_open_evenly": (
        "what opens does so on both sides equally, a third each at 1/6, 1/2 and 5/6 of the bar's range"
    ),
    "bins_emptied": lambda values: (
        f"a level is gone once {PRICES[values['by_marks']]} have reached it; bins of {values['width_bps']:g} bps which "
        "they cross in part are emptied whole"
    ),
    "warm_up": "{bars} bars from {start}, of which {lead_s:hours} before the first column are warm-up",
    "only_age": "only positions of age {age} are shown",
    "null_shares": (
        "of long / short open interest {before_window:pair} are older than the stored series, {swept:pair} were swept "
        "by later prices, {unassigned:pair} are hedged, without leverage or filtered out"
    ),
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
    "picture_accuracy": lambda values: (
        f"what was read, drawn and read again in the same colours, is {values['w1_pct']:.3f} % of price off (W1)"
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
    "moments_apart": "its moment is {gap_s:age} {when} the truth's.",
    "marks_apart": "its mark is {basis_pct:+.2f} % from the truth's ({model_px:,.6g} and {truth_px:,.6g}).",
    "shifted": (
        "seen from {after_px:,.6g} instead of its own mark {before_px:,.6g}: levels stay at their prices, and "
        "{swept:percent} of the amounts lie between both marks and count as swept"
    ),
    **COMPARED,
}
