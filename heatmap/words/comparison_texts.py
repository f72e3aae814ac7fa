"""The English text of the notes of comparisons: divergences, scores, samples of fits, claims, the ledger.

`heatmap.note_texts` has the others and the formats that may be used.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqtruth.heatmap.words.text import counted, hours, percent, usd

Values = Mapping[str, Any]


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


def _census_incomplete(values: Values) -> str:
    whose = ": large accounts, and no census of the others" if values["large"] else ""
    return (
        f"{_open_interest(values)} was read, half of its positions above {usd(values['middle_usd'])}{whose}"
    )


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


def _path_prices(values: Values) -> str:
    verb, share = values["verb"], values["by_marks"]
    if share >= 1:
        return f"{verb} by mark prices"
    if not share > 0:
        return f"no mark prices are stored: {verb} by last prices, which reach further than marks"
    return f"{verb} by mark prices in {share:.0%} of bars, by last prices in the others"


def _looks_scaled(values: Values) -> str:
    factor = values["value"]
    if factor > 1:
        why = f"too near the mark, as a leverage does that is assumed {factor:.1f} times too high"
    else:
        why = f"too far from the mark, as a leverage does that is assumed {1 / factor:.1f} times too low"
    return f"its distances fit best multiplied by {factor:.2g} ({_instead(values)}): it places liquidations {why}"


def _instead(values: Values) -> str:
    if "explained" in values:
        return (
            f"its peaks and gaps are then where its venue's models have them, {percent(values['explained'])} of them "
            f"explained instead of {percent(values['as_it_is'])}"
        )
    factor, beside = values.get("factor"), values.get("beside")
    scaled = "" if factor is None else f", its distances multiplied by {factor:.2g} as well"
    of = "" if beside is None else f" from {beside}"
    return f"off by {values['then_pct']:.1f} % of price{of} instead of {values['off_pct']:.1f} %{scaled}"


def _moves(values: Values) -> str:
    return f"whether it is moved by {values['low_pct']:+.1f} to {values['high_pct']:+.1f} % of price"


def _whose(values: Values) -> str:
    """Of whom a share is that stands beside a map's."""
    return "the truth's crowd" if values.get("of_crowd") else "the truth"


def _others(values: Values) -> str:
    return " and ".join(one for one in values["venues"] if one != values["venue"])


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
    # what one change would explain, and single clusters
    "looks_mirrored": lambda values: f"its sides look exchanged ({_instead(values)})",
    "untold": lambda values: (
        "the truth cannot tell "
        + " and ".join(
            (
                *(["whether its sides are exchanged"] if values["sides"] else []),
                *([_moves(values)] if values["high_pct"] > values["low_pct"] else []),
            )
        )
        + ": so changed it would fit about as well"
    ),
    "looks_scaled": _looks_scaled,
    "looks_moved": lambda values: (
        f"it fits best moved by {values['value']:+.1f} % of price ({_instead(values)}): it may be of another moment "
        "or centred on another price than the mark"
    ),
    "looks_centred_on_mean": lambda values: (
        f"it looks centred on {values['px']:,.6g}, the mean price of the last {hours(values['window_s'])} and "
        f"{values['away']:+.1%} from the mark: it fits best moved by {values['value']:+.1f} % ({_instead(values)})"
    ),
    "swept_levels": lambda values: (
        f"{percent(values['share'])} of its {values['side']}s lie between {values['low_px']:,.6g} and "
        f"{values['high_px']:,.6g}, where the price was within the last {hours(values['window_s'])} and whoever stood "
        f"there was liquidated; the truth and our models have at most {percent(values['beside'])} there"
        + (
            ": it may be of an earlier moment, keep levels that are gone, be moved, or have its sides exchanged"
            if values["alone"]
            else ""
        )
    ),
    "venue_missing": lambda values: (
        f"it looks as if {values['venue']} were missing: the sum of {_others(values)} fits it better than the sum of "
        f"all {len(values['venues'])} venues ({percent(values['then'])} of mass lies elsewhere instead of "
        f"{percent(values['off'])}, nearer by {percent(values['low'])} to {percent(values['high'])})"
    ),
    "venue_untold": (
        "whether it lacks one of {venues:names} cannot be told: {off:percent} of its mass lies elsewhere than the sum "
        "of their maps has it, and a venue moves {adds:percent} at most"
    ),
    "venues_not_in_rows": "its rows lack {venues:names}, of which there are maps beside it",
    "venues_gave_nothing": "Asked for and not there: {venues:names}.",
    "phantom_cluster": lambda values: (
        f"phantom cluster: {percent(values['share'], 0)} of its {values['side']}s near {values['px']:,.6g}, where "
        f"{_whose(values)} has {percent(values['beside'])}"
    ),
    "heavy_cluster": lambda values: (
        f"too much in one place: {percent(values['share'], 0)} of its {values['side']}s near {values['px']:,.6g}, "
        f"where {_whose(values)} has {percent(values['beside'])}"
    ),
    "missed_cluster": lambda values: (
        f"missed cluster: {percent(values['share'], 0)} of the {values['side']}s of {_whose(values)} near "
        f"{values['px']:,.6g}, where it has {percent(values['beside'])}"
    ),
    "missed_holder": lambda values: (
        f"one holder has {percent(values['holder'], 0)} of a cluster with {percent(values['share'], 0)} of the "
        f"{values['side']}s of {_whose(values)} near {values['px']:,.6g}, where it has {percent(values['beside'])}: no "
        "model of a crowd can know it"
    ),
    "missed_by_several": lambda values: (
        f"missed: {percent(values['share'], 0)} of the {values['side']}s of {_whose(values)} near "
        f"{values['px']:,.6g}"
        + (
            f", of which one holder has {percent(values['holder'], 0)}"
            if values["holder"] is not None
            else ""
        )
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
    "effective_of_bins": (
        "the truth is {maps:counted:map} without single positions: each bin counts as one, so that effective positions "
        "are too many where a map was smoothed, and the gate of a fit is not passed by them"
    ),
    "banded_truth": lambda values: (
        f"the truth is {counted(values['samples'], 'sample')} of banded sums (bands end at "
        f"{', '.join(f'{at:g}' for at in values['ends'])} %): they tell level and shares, not shape, so that plain "
        "leverage is fitted, and large positions are not cut"
    ),
    "effective_unknown": (
        "the effective sample size of the sums is not known, so that the gate of a fit is not passed"
    ),
    "banded_curves": (
        "cumulative sums of blocks of coin and day left out: mean |ln ratio| {fitted:.2f}, equal-weight tiers "
        "{rival:.2f}"
    ),
    # a census of leverage
    "census_stands": (
        "of what stands, not of what was opened: high leverages are liquidated first and are rarer here; a cross "
        "position's distance rests on all collateral of its account"
    ),
    "census_of_several": "coins are counted together by notional: the largest weigh most",
    "census_incomplete": _census_incomplete,
    "census_coverage_unknown": (
        "open interest is unknown, and so is the share of it that was read; half of the positions are above "
        "{middle_usd:usd}"
    ),
    "census_few": (
        "rests on {effective:.0f} effective accounts on one side; below {enough:.0f} a shape says little about "
        "other accounts"
    ),
    "census_no_entries": "no entry prices were read: leverage is measured from the mark alone",
    "census_all_priced": (
        "all {positions:counted:position} have a liquidation price: a source that leaves the others out looks the same"
    ),
    "census_maintenance": lambda values: (
        f"no margin table is stored (`--meta` of `index import`): maintenance is half of the initial margin at "
        f"{values['highest']:g}x{'' if values['known'] else ', which is assumed'}"
    ),
    "census_as_model": (
        "leverages that stand, measured from {anchor} to liquidation, each position with at most {cut:.1%} of open "
        "interest; which turnover class they are in is not seen and taken from {prior}"
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
