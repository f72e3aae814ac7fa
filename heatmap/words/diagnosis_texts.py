"""The English text of the notes on what seems to be wrong with a map."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqtruth.heatmap.words.text import hours, percent

Values = Mapping[str, Any]


def _looks_scaled(values: Values) -> str:
    factor = values["value"]
    if factor > 1:
        why = f"too near the mark, as a leverage does that is assumed {factor:.1f} times too high"
    else:
        why = f"too far from the mark, as a leverage does that is assumed {1 / factor:.1f} times too low"
    return f"its distances fit best multiplied by {factor:.2g} ({_instead(values)}): it places liquidations {why}"


def _instead(values: Values) -> str:
    if "alike" in values:
        return (
            f"its peaks then lie where those of the truth and of our models do: correlation {values['alike']:.2f} "
            f"instead of {values['before']:.2f}"
        )
    if "explained" in values:
        return (
            f"its peaks and gaps are then where its venue's models have them, {percent(values['explained'])} of them "
            f"explained instead of {percent(values['as_it_is'])}"
        )
    factor, beside = values.get("factor"), values.get("beside")
    scaled = "" if factor is None else f", its distances multiplied by {factor:.2g} as well"
    of = "" if beside is None else f" from {beside}"
    return f"off by {values['then_pct']:.1f} % of price{of} instead of {values['off_pct']:.1f} %{scaled}"


def _one_of(values: Values) -> str:
    causes = ", or ".join(CAUSES[code].format(value) for code, value in values["causes"])
    return f"it is not right as it is, but one of these: {causes}; the data cannot tell which ({_instead(values)})"


def _moves(values: Values) -> str:
    return f"whether it is moved by {values['low_pct']:+.1f} to {values['high_pct']:+.1f} % of price"


def _whose(values: Values) -> str:
    """Of whom a share is that stands beside a map's."""
    return "the truth's crowd" if values.get("of_crowd") else "the truth"


def _others(values: Values) -> str:
    return " and ".join(one for one in values["venues"] if one != values["venue"])


CAUSES: Final = {
    "looks_mirrored": "its sides are exchanged",
    "looks_moved": "it must be moved by {:+.1f} % of price",
    "other": "it is of another moment or of other positions altogether",
}
"""What may be wrong with a map, where that cannot be told from another cause."""

DIAGNOSED: Final[dict[str, str | Callable[[Values], str]]] = {
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
    "looks_one_of": _one_of,
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
}
