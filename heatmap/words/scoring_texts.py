"""The English text of the notes of what is measured over time: scores by prices and liquidations, fits, the census,
claims, the ledger."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqtruth.heatmap.words.comparison_texts import open_interest_read
from liqtruth.heatmap.words.text import counted, usd

Values = Mapping[str, Any]


def _path_prices(values: Values) -> str:
    verb, share = values["verb"], values["by_marks"]
    if share >= 1:
        return f"{verb} by mark prices"
    if not share > 0:
        return f"no mark prices are stored: {verb} by last prices, which reach further than marks"
    return f"{verb} by mark prices in {share:.0%} of bars, by last prices in the others"


def _census_incomplete(values: Values) -> str:
    whose = ": large accounts, and no census of the others" if values["large"] else ""
    return f"{open_interest_read(values)} was read, half of its positions above {usd(values['middle_usd'])}{whose}"


SCORED: Final[dict[str, str | Callable[[Values], str]]] = {
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
