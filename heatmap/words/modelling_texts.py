"""The English text of the notes of series and models: what a venue's series lack, what a model assumes, maps over time.

`heatmap.note_texts` has the others and the formats that may be used.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqtruth.heatmap.words.text import by_side, hours

Values = Mapping[str, Any]


def _not_on_map(values: Values) -> str:
    parts = {
        "before_window": f"older than the window (from {values['window_from']})",
        "swept": "swept by later prices",
        "unassigned": "hedged or without leverage",
        "unallowed": "at leverages that the venue does not allow",
    }
    shares = {part: values[part] for part in parts}
    listed = [
        f"{'none' if share is None else by_side(share)} {parts[part]}"
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
    which = "leverages"
    if values.get("part", values["coordinate"] == "mixed"):
        which = (
            f"leverages that go by {'volatility' if values['coordinate'] == 'of-volatility' else 'the coin'}"
        )
    return f"{which} are {values['scale']:.3g} times the model's, by {by}{floored}"


def _too_large(values: Values) -> str:
    amount = values["usd"]
    shown = f"{amount / 1e12:.3g} trillion" if amount >= 1e12 else f"{amount / 1e9:.3g} billion"
    return f"WARNING: open interest of {shown} USD, more than any single market has had: is its unit right?"


UNIT_CHANGE: Final = (
    "{before:,.6g} to {after:,.6g} coins at {at}, a factor of {factor:,.4g} that no volume explains"
)
LEFT_OUT: Final = "left out, the first of {first}"
PRICES: Final = {True: "mark prices", False: "last prices, not marks"}

MODELLING: Final[dict[str, str | Callable[[Values], str]]] = {
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
        "leverage above {highest:g}x, as far as the model reaches here ({share:.1%} of shares), is null mass"
    ),
    "fades_out": (
        "leverage that does not go by the highest thins out from {low:.3g}x to {high:.3g}x here "
        "({share:.1%} of shares): null mass"
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
    "unbounded": "no bounds: too few coins or maps were held out from the fit to tell how far off it is",
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
}
