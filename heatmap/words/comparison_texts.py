"""The English text of the notes of comparisons: what a divergence rests on, clusters, what became of them.

`heatmap.note_texts` has the others and the formats that may be used.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqtruth.heatmap.words.text import percent

Values = Mapping[str, Any]


def _truth_is_incomplete(values: Values) -> str:
    empty = values["empty_pct"]
    near = "." if empty is None else f", with nothing within {empty:.0f} % of the mark: large accounts only?"
    return f"The truth covers {open_interest_read(values)}{near}"


def _truth_covers(values: Values) -> str:
    positions = values["positions"]
    counted_as = "" if positions is None else f" ({positions:,} positions)"
    return f"{values['label']} covers {open_interest_read(values)}{counted_as}; the rest was not read"


def open_interest_read(values: Values) -> str:
    """Shares of the open interest of both sides."""
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


BARRED: Final = {
    "saw_this_moment": "{fit} was fitted on this coin from {start} to {end}, this moment among them",
    "fails_its_gate": (
        "{fit} was fitted on {effective:.0f} effective positions a side, {enough:.0f} are needed"
    ),
    "no_record": "{fit} has no record of its fit: whether it was fitted on this moment is not known",
}
"""Why a model is shown and not ranked."""

COMPARED: Final[dict[str, str | Callable[[Values], str]]] = {
    # a divergence: what it rests on
    "truth_is_no_reading": "The truth here is itself no reading of positions.",
    "truth_is_a_part": "The truth here is a part of its map: {part}.",
    "truth_is_incomplete": _truth_is_incomplete,
    "truth_exceeds": (
        "The truth has {long:percent} of long and {short:percent} of short open interest, more than there is: sizes or "
        "open interest in another unit, or positions twice?"
    ),
    "few_positions_floor": (
        "The truth rests on so few positions that even a perfect model would be off by about {floor_pct:.1f} %."
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
    "ranked_on_common": (
        "maps are ranked within {range_pct:.3g} % of the mark, since {label} covers no more; each map's own figures "
        "reach as far as it does"
    ),
    "set_aside": (
        "reaches no farther than {range_pct:.3g} % from the mark, where too few positions lie to rank it among the "
        "others, which are ranked as far as they reach"
    ),
    "held_against_whole": (
        "a reading of the same positions: held against the whole truth, whales included, not against its crowd"
    ),
    "looks_read": (
        "does not say what it rests on and is all but the whole truth, whales included: held against that as a reading "
        "of the same positions"
    ),
    "narrowest_grid": (
        "the narrowest grid reaches {range_pct:.3g} % from its mark: nothing further away is compared, on any map"
    ),
    "never_liquidated": (
        "{count:,} of {positions:,} positions have no liquidation price ({long_usd:usd} long, {short_usd:usd} short): "
        "no move liquidates them"
    ),
    "collateral_unknown": "{usd:usd} is not on the map: its collateral was not captured",
    "out_of_range": (
        "{long_usd:usd} long and {short_usd:usd} short lie further than {range_pct:.3g} % away: "
        "outside the range of the headline"
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
    "baselines_missing": lambda values: (
        "baselines that could not be made: "
        + "; ".join(f"{model} ({reason})" for model, reason in values["missing"])
    ),
    "not_ranked": lambda values: f"{values['label']} is not ranked: {BARRED[values['why']].format(**values)}",
    **BARRED,
    # what is not known of clusters
    "atr_unknown": (
        "distances in ATR are empty: no 60 h of candles of {venues:venues} of at most 4 h are stored up to this moment"
    ),
    "market_unknown": "{what:names} of {venue:venue} over 24 h: empty, not stored for that time",
    "depth_not_stored": (
        "resting depth between the mark and a cluster is empty for {venues:venues}: no order book within "
        "{within_s:age} is stored (`check` reads Hyperliquid's)"
    ),
    # what became of clusters
    "moved_by_accounts": lambda values: (
        "clusters are followed by their accounts, in coins at the later mark: a move of price is no flow; "
        + (
            "consumed: its liquidation was recorded"
            if values["by_records"]
            else f"consumed: gone after the price came to its liquidation price between two of {values['readings']} "
            "readings; whoever closed just before that is in it, so that less may have been liquidated"
        )
    ),
    "moved_by_place": (
        "clusters are followed by their place, within 1 % of price, at the later mark: a model knows no accounts, so "
        "only net changes are known; what was lost is consumed as far as the price reached it, else closed"
    ),
    "moved_common_prices": "only prices from {low_px:,.6g} to {high_px:,.6g} are followed: both files have them",
    "moved_read": (
        "{before:counted:position} known then and {after:counted:position} now, {again:,} of them read since: whoever "
        "was not is taken to have stayed, and who was read only later to have opened"
    ),
    "moved_path": "prices between: bars of {bar_min:g} min of {venue}, which cover {covered:percent0} of the time",
    "moved_marks_alone": (
        "no candles of {venue} are stored between the moments: prices beyond both marks are not known to have been "
        "reached"
    ),
    "not_grouped": "visits by {by} are not known: {why}",
}
