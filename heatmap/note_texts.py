"""The English text of each note: one text per code, a format string or a function of the values.

Beside Python's own formats a text may use the forms of `FORMS` (`{open_interest_usd:usd}`), and `counted:NOUN`.
"""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final

from liqtruth.heatmap.text import age, counted, hours, percent, usd

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
        if values["coordinate"] == "of-maximum"
        else "volatility, {here:.2%} a day where the model's is {reference:.0%}"
    ).format(**values)
    unlevered = values["unlevered"]
    floored = f"; what falls below 1x ({unlevered:.1%} of shares) is set to 1x" if unlevered > 0 else ""
    return f"leverages are {values['scale']:.3g} times the model's, by {by}{floored}"


def _too_large(values: Values) -> str:
    amount = values["usd"]
    shown = f"{amount / 1e12:.3g} trillion" if amount >= 1e12 else f"{amount / 1e9:.3g} billion"
    return f"WARNING: open interest of {shown} USD, more than any single market has had: is its unit right?"


def _path_prices(values: Values) -> str:
    verb, share = values["verb"], values["by_marks"]
    if share >= 1:
        return f"{verb} by mark prices"
    if not share > 0:
        return f"no mark prices are stored: {verb} by last prices, which reach further than marks"
    return f"{verb} by mark prices in {share:.0%} of bars, by last prices in the others"


def _truth_is_incomplete(values: Values) -> str:
    empty = values["empty_pct"]
    near = "." if empty is None else f", with nothing within {empty:.0f} % of the mark: large accounts only?"
    return f"The truth covers {_open_interest(values)}{near}"


def _truth_covers(values: Values) -> str:
    positions = values["positions"]
    counted_as = "" if positions is None else f" ({positions:,} positions)"
    return f"{values['label']} covers {_open_interest(values)}{counted_as}; the rest was not read"


def _open_interest(values: Values) -> str:
    return f"{percent(values['long'])} of long and {percent(values['short'])} of short open interest"


def _nothing_near(values: Values) -> str:
    listed = ", ".join(
        f"no {side}s at all" if at is None else f"{side}s begin at {at:.1f} %"
        for side, at in values["nearest_pct"].items()
    )
    return (
        f"nothing of {values['label']} lies within {values['near_pct']:.3g} % of the mark ({listed}): large accounts "
        "only? Its shape then says nothing about the leverage of small ones"
    )


def _nothing_near_on_side(values: Values) -> str:
    side, at = values["side"], values["nearest_pct"]
    where = "at all" if at is None else f"nearer than {at:.1f} %"
    return (
        f"{values['label']} has no {side}s {where}: nothing lies within {values['near_pct']:.3g} % of the mark on the "
        f"{side} side: large accounts only?"
    )


def _few_positions(values: Values) -> str:
    listed = ", ".join(
        f"{_range_of(least, most)} of {positions:,} {side}s"
        for side, positions, least, most in values["sides"]
    )
    floor = values["floor_pct"]
    at_best = "" if floor is None else f"; even a perfect model would be off by about {floor:.1f} %"
    return (
        f"a few positions make the truth's shape (effective number {listed}; below {values['enough']:.0f} a side "
        f"claims about shape rank no model{at_best}): one snapshot is no verdict"
    )


def _range_of(least: float, most: float) -> str:
    low, high = f"{least:.0f}", f"{most:.0f}"
    return low if low == high else f"{low} to {high}"


UNIT_CHANGE: Final = (
    "{before:,.6g} to {after:,.6g} coins at {at}, a factor of {factor:,.4g} that no volume explains"
)
LEFT_OUT: Final = "left out, the first of {first}"
PRICES: Final = {True: "mark prices", False: "last prices, not marks"}

TEXTS: Final[dict[str, str | Callable[[Values], str]]] = {
    "text": "{text}",
    # every map
    "filtered": _filtered,
    "whales": _whales,
    "only_crowd": _layer("crowd", "at most"),
    "only_whales": _layer("whales", "what it has above"),
    "distance_only": "half on each side, spread evenly over distances from 0 to {within_pct:.0f} % of the mark",
    # a divergence: what it rests on
    "truth_is_no_reading": "The truth here is itself no reading of positions.",
    "truth_is_a_part": "The truth here is a part of its map: {part}.",
    "truth_is_incomplete": _truth_is_incomplete,
    "few_positions_floor": (
        "It rests on so few positions that a perfect model would be off by about {floor_pct:.1f} %."
    ),
    "stands_in": (
        "{label} stands in for the truth but is no reading of positions: the scores say how alike the maps are, not "
        "which of them is right"
    ),
    "other_coin": "{label} is a map of {coin}, the truth one of {truth_coin}",
    "part_compared": "of {name} a part is compared, {part}: all that follows is about that part",
    "coverage_unmeasured": (
        "open interest is unknown, so nobody can say how much of the market {label} covers"
    ),
    "truth_covers": _truth_covers,
    "nothing_near": _nothing_near,
    "nothing_near_on_side": _nothing_near_on_side,
    "few_positions": _few_positions,
    "narrowest_grid": (
        "the narrowest grid reaches {range_pct:.3g} % from its mark: nothing further away is compared, on any map"
    ),
    "never_liquidated": (
        "{count:,} of {positions:,} positions have no liquidation price ({long_usd:usd} long, {short_usd:usd} short): "
        "no move liquidates them"
    ),
    "collateral_unknown": "{usd:usd} is not on the map: its collateral was not captured",
    "out_of_range": (
        "{long_usd:usd} long and {short_usd:usd} short lie further than {range_pct:.3g} % away and are not scored"
    ),
    "oldest_position": "the oldest position was read {age_s:age} before the map's moment",
    "basis": "the mark is {bps:+.0f} bps from the truth's; distances are from each map's own mark",
    "model_places": (
        "places {long:percent} of long and {short:percent} of short open interest of its venue; shapes are compared, "
        "not amounts"
    ),
    "other_moment": "made for a moment {gap_s:age} away from the truth's reading",
    "not_compared": lambda values: (
        f"not compared: {'; '.join(f'{spec} ({reason})' for spec, reason in values['missing'])}"
    ),
    "not_ranked": lambda values: f"{values['label']} is not ranked: {in_english(values['why'], values)}",
    "saw_this_moment": "{fit} was fitted on this coin from {start} to {end}, this moment among them",
    "fails_its_gate": (
        "{fit} was fitted on {effective:.0f} effective positions a side, {enough:.0f} are needed"
    ),
    "no_record": "{fit} has no record of its fit: whether it was fitted on this moment is not known",
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
    "not_levelled": "not levelled to {venue}: shape carried over, level is {whose}'s",
    "volatility_unknown": (
        "leverage is taken by volatility, which is not known here: as of a market of {reference:.0%} a day"
    ),
    "scaled": _scaled,
    "turnover_classes": "{count} turnover classes at {rates:rates} times the market's activity",
    "above_highest": (
        "leverage above the venue's highest of {highest:g}x ({share:.1%} of shares) is null mass"
    ),
    "only_leverage": "only leverage {bands:names} is shown",
    "unbounded_not_levelled": ("no bounds: the model is not levelled to {venue} (liqtruth transfer {venue})"),
    "unbounded": "no bounds: the model was not validated on any held-out map",
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
    "mean_shape": (
        "the mean shape of {maps} exact maps of hyperliquid {coin}, the latest of {at}, by distance"
    ),
    "earlier_exact": "the exact map of {at}; nothing opened since is known",
    "venue_share": "{venue} has {share:percent} of open interest ({usd:usd}), mark {mark_px:,.6g}",
    "added_by_distance": (
        "venues are added by distance from their own marks, around {mark_px:,.6g}, their mark weighted by open interest"
    ),
    # price x time
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
    # what maps are compared with: prices and realised liquidations
    "path_prices": _path_prices,
    "synthetic_realised": "synthetic: liquidations or series of the sandbox, not of an exchange",
    "coverage_given": "coverage {share:.0%} as given by --coverage",
    "coverage_of_node": "coverage 100%: a node's fills hold every liquidation",
    "coverage_of_venue": "coverage 100%: {venue} pushes {word}",
    "coverage_unknown": lambda values: (
        f"coverage is not known ({'; '.join(values['words'])}): ratios to realised liquidations are null, ranks "
        "stand; give the share of liquidations that are reported with --coverage"
    ),
    "listened": "{count:counted:liquidation} stored, recorded for {hours:,.1f} h in {spans:counted:span}",
    "spans_of_exchange": (
        "no recording spans are stored: the exchange counts as recorded where liquidations of any coin are at most "
        "{quiet_min:.0f} min apart"
    ),
    "spans_of_days": (
        "no spans of listening are stored: a day counts from its first to its last liquidation, one without any is "
        "left out"
    ),
    "venue_prices": (
        "zones place a liquidation at the price the venue reports, moved into the bar of its moment where it lies "
        "outside: Bybit and OKX report the bankruptcy price"
    ),
    "plain_flatters": (
        "plain rank correlation flatters: any map has more mass in a larger move; read the partial one"
    ),
    "no_tiers": "no baseline tiers: {reason}",
    "weights_made_later": (
        "weights {weights} were made at {made}, after the first moment here: what they were fitted on may be among it; "
        "forecasts of the ledger are free of that"
    ),
    "too_few_windows": "{count} windows: at least {least} are needed for a rank correlation",
    "nothing_liquidated": "nothing was liquidated: there is no rank to correlate with",
    "too_few_days": "{days} days: no intervals, at least {least} are needed",
    "no_ratios": "coverage is not known: no ratios",
    "too_few_in_zones": (
        "{count:.0f} liquidations in zones of windows that swept at least {zones} of 25 bps: no precision, at least "
        "{least} are needed"
    ),
    "exact_maps_swept": (
        "{maps} exact maps of {venue}, swept by the prices of {prices_of} in bars of {bar_min:g} min; a map counts for "
        "{counts_for} after its reading"
    ),
    "correlated_within_days": (
        "correlations of ranks, rid of their day's mean and of the rank of the step's own move to the side; lag 1 "
        "compares what was swept in a step with the liquidations of the next"
    ),
    "null_of_shuffled_days": (
        "null: whole days of liquidations shuffled; the p-value is of the highest correlation over all lags"
    ),
    "zones_visited": (
        "{maps} maps, the {top} heaviest zones a side within {within_pct:g} % of the mark; visited: price came within "
        "{tolerance_pct:g} % of the peak, in bars of {bar_min:g} min"
    ),
    "zones_at_the_mark": "{count:counted:zone} left out: the price was there already",
    "expected_visits": (
        "expected: levels as far away on the same side, at all moments a horizon or more away; by volatility: as far "
        "in units of the three days before"
    ),
    # what samples of a fit rest on
    "aggregates_stand_in": (
        "aggregates of {venue} stand in for Hyperliquid's own, at its level of open interest"
    ),
    "account_mix_unknown": (
        "{lacking} of {pairs} pairs cover less than {whole:.0%}, and no reading covers enough to know the mix of "
        "account sizes: what was not seen is taken to be like what was"
    ),
    "weighed_by_account": (
        "{lacking} of {pairs} pairs cover less than {whole:.0%}: weighed by size of account like the others"
    ),
    "window_judged_before": (
        "days of the final window were judged before, as {split} of the validation {validation!r} of {made}: they are "
        "not new"
    ),
    # whether a claim holds
    "claim_holds": "holds",
    "claim_is_chance": "holds but is what chance gives",
    "claim_more": "does not hold: it is more, {against_chance}",
    "claim_less": "does not hold: it is less, {against_chance}",
    "claim_unknown": "not known, because {why}",
    # what the ledger holds against a model
    "worse_than_chance": (
        "{model} does worse than chance: the thickest tenth of its zones was hit by {share:.0%} of {events} "
        "liquidations, at most {high:.0%}; chance hits {chance:.0%}"
    ),
    "worse_than_baseline": (
        "{model} does worse than {baseline}: its rank correlation with realised liquidations is lower by {by:.2f} "
        "(95 % {low:.2f} to {high:.2f})"
    ),
}
