"""A divergence in the terminal: the answer first, then where the maps differ, then what to know before believing it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from liqtruth.compare.comparison.tables import bullets, captioned, empty_table, figure, folding, graded
from liqtruth.compare.conclusion.records import CROWD
from liqtruth.compare.conclusion.sentences import MARKS
from liqtruth.compare.diagnosis.diagnosis import by_maps
from liqtruth.compare.divergence.baselines import LABEL as NULL_LABEL
from liqtruth.compare.divergence.divergence import Divergence, range_cell, undefined_reasons
from liqtruth.compare.divergence.records import MapSummary, ModelResult, RangeResult
from liqtruth.compare.matching.assignment import fates_sentence
from liqtruth.compare.matching.consensus import clusters_table
from liqtruth.compare.matching.matching import ClusterMatch, recall_sentence
from liqtruth.compare.statistics.scores import NAMES, Judged
from liqtruth.heatmap.clusters.facts import surroundings_line
from liqtruth.heatmap.words.notes import NOT_USD, SYNTHETIC_NOTE, of_codes, texts
from liqtruth.heatmap.words.text import SIDE_STYLES, STYLES, as_of, grade, percent, price, usd, venue_words

MODELS_ABREAST: Final = 2
"""Models per table: with more the columns would not fit 80."""
SHOWN: Final = (
    ("wasserstein_pct", "long"),
    ("wasserstein_pct", "short"),
    ("wasserstein_pct", "mean"),
    ("wasserstein_pct", "both"),
    ("jensen_shannon", "long"),
    ("jensen_shannon", "short"),
    ("jensen_shannon_bands", "mean"),
    ("share_above_error", "both"),
)
BOTH_SIDES: Final = {"both": "one axis"}
UNTOLD: Final = "cannot be told"
NOT_MATCHED: Final = "where clusters lie; what was matched is left out, since it would rank no model"
SECTION_ENDS: Final = (("wasserstein_pct", "both"), ("jensen_shannon_bands", "mean"))


def divergence_view(divergence: Divergence, now: datetime | None = None) -> RenderableType:
    """Fits 80 columns whatever the number of models. Ages are those at `now`, by default the clock."""
    parts: list[RenderableType] = [answer_view(divergence, now)]
    for start in range(0, len(divergence.models), MODELS_ABREAST):
        chosen = slice(start, start + MODELS_ABREAST)
        parts += [_bands(divergence, chosen), _scores(divergence.models[chosen])]
    parts += [_legend(divergence)]
    if divergence.clusters:
        parts += [
            clusters_table(divergence.clusters, divergence.judge, 1 + len(divergence.models)),
            *_markets(divergence),
        ]
    parts += [
        _clusters(result, divergence.tolerance_pct)
        for result in divergence.models
        if result.matches or any(recall.wanted for recall in result.recall)
    ]
    parts += [Text("\nBefore you believe it", style="bold"), bullets(texts(divergence.remarks))]
    return Group(*parts)


def answer_view(divergence: Divergence, now: datetime | None = None) -> RenderableType:
    """The answer, the maps, and how each stands to the truth and its crowd, without what is behind it."""
    layers = [_layers(divergence)] if divergence.layers else _baselines(divergence)
    return Group(
        _answer(divergence, now),
        _maps(divergence, now),
        *layers,
        *_within_ranges(divergence),
        *_diagnoses(divergence),
    )


def _within_ranges(divergence: Divergence) -> list[Table]:
    """Each map on its own within each range: figures, which rank no map."""
    results = divergence.shown_ranges
    if not results:
        return []
    own = results[0]
    heads = [f"{one.range_pct:.3g} %{' *' if divergence.is_answers(one) else ''}" for one in results]
    table = empty_table("Each map on its own, within", "", *heads)
    table.padding = (0, 0, 0, 1)  # four ranges leave no more
    table.add_row("noise floor", *(figure("wasserstein_pct", one.noise_floor_pct) for one in results))
    table.add_row("mark only", *(figure("wasserstein_pct", one.null_pct) for one in results))
    for at, one in enumerate(own.baselines):
        label = Text(f"{one.label} (baseline)", style="dim")
        table.add_row(label, *(range_cell(result, result.baselines[at]) for result in results))
    for at, one in enumerate(own.models):
        table.add_row(Text(one.label), *(range_cell(result, result.models[at]) for result in results))
    return [
        captioned(
            folding(table),
            f"W1, both sides; truth: {own.layer}; * the answer is of this range{_shorter(results)}",
        )
    ]


def _shorter(results: Sequence[RangeResult]) -> str:
    """What a figure means that reaches less far than its column; empty where none does."""
    cells = (range_cell(result, one) for result in results for one in (*result.baselines, *result.models))
    return "; (to 8): only to 8 % of the mark" if any("(to" in cell for cell in cells) else ""


def _markets(divergence: Divergence) -> list[Text]:
    """What is known of the market of each venue."""
    lines = ((venue_words(market.venue), surroundings_line(market)) for market in divergence.markets)
    return [Text(f"{venue}: {line}", style="dim") for venue, line in lines if line]


def _diagnoses(divergence: Divergence) -> list[RenderableType]:
    """What seems to be wrong with each map; nothing where nothing is."""
    found = by_maps({result.summary.label: result.diagnosis for result in divergence.models})
    lines = [f"{labels}: {one.text}" for labels, one in found]
    return [Text("What is off", style="bold"), bullets(lines)] if lines else []


def _answer(divergence: Divergence, now: datetime | None) -> Panel:
    heading = f"{divergence.coin}: model against {divergence.truth.label}"
    if divergence.synthetic:
        heading += " (SYNTHETIC MARKET)"
    body = Text(divergence.headline, style="bold")
    for line in (*filter(None, [divergence.beside]), *divergence.of_maps):
        body.append(f"\n{line}", style="not bold")
    aged = as_of(divergence.as_of, now)
    beside = f", {SYNTHETIC_NOTE}" if divergence.synthetic else ""
    body.append(f"\n{aged}{beside}", style=f"not bold {STYLES[grade(divergence.as_of, now)]}")
    if divergence.caveat:
        body.append(f"\n{divergence.caveat}", style="not bold yellow")
    return Panel(body, title=Text(heading), box=box.ROUNDED, expand=False)


def _maps(divergence: Divergence, now: datetime | None) -> Table:
    table = empty_table("The maps", "map", "as of (UTC)", "mark", "% of OI", "longs", "shorts")
    table.padding = (0, 0, 0, 1)  # names like `hyperliquid calibrated` leave no more
    for summary in (divergence.truth, *(result.summary for result in divergence.models)):
        table.add_row(*_map_cells(summary, now))
    return captioned(folding(table), "% of OI: seen or placed, long/short; amounts where all maps reach")


def _map_cells(summary: MapSummary, now: datetime | None) -> list[str | Text]:
    share = summary.coverage_share
    return [
        Text(summary.label),
        Text(
            f"{summary.as_of:%Y-%m-%d %H:%M:%S}",
            style=STYLES[grade(summary.data_moment or summary.as_of, now)],
        ),
        price(summary.mark_px),
        "unknown" if share is None else f"{100 * share.long:.3g}/{100 * share.short:.3g}",
        *(_amount(summary, side) for side in summary.in_grid_usd),
    ]


def _amount(summary: MapSummary, amount: float) -> str:
    """In USD, but for maps of vendors whose amounts are something else."""
    return usd(amount).removeprefix("$") if of_codes(summary.coverage.notes, NOT_USD) else usd(amount)


def _layers(divergence: Divergence) -> Table:
    """Models by rows, so that naive and fitted ones stand under one another; raw and crowd abreast."""
    layers = divergence.layers
    title = "Against the whole map (raw) and against its crowd: W1, mean of sides"
    table = empty_table(title, "", *(layer.layer for layer in layers))
    table.add_row("effective longs / shorts", *(layer.effective for layer in layers))
    table.add_row("shape can be claimed", *("yes" if layer.enough else "no" for layer in layers))
    floors = [figure("wasserstein_pct", layer.noise_floor_pct) for layer in layers]
    table.add_row("noise floor", *floors, end_section=True)
    null = [figure("wasserstein_pct", layer.null_scores.wasserstein_pct) for layer in layers]
    table.add_row("mark only", *null)
    for baseline, *free in zip(divergence.baselines, *(layer.baselines for layer in layers), strict=True):
        shown = (graded(row.scores.wasserstein_pct, row.skill, ranked=row.ranked) for row in free)
        table.add_row(Text(f"{baseline.label} (baseline)", style="dim"), *shown)
    for result, *rows in zip(divergence.models, *(layer.models for layer in layers), strict=True):
        mark = MARKS[result.barred.code] if result.barred else UNTOLD if result.turned_at is not None else ""
        figures = (
            graded(
                row.scores.wasserstein_pct,
                row.skill,
                ranked=row.ranked,
                mark=mark,
                by_chance=result.by_chance,
            )
            for row in rows
        )
        table.add_row(Text(rows[0].label), *figures)
    return captioned(folding(table), "\n".join(layer.says for layer in layers))


def _baselines(divergence: Divergence) -> list[Table]:
    """Where the truth has no layers: baselines and models against the whole map."""
    if not divergence.baselines:
        return []
    table = empty_table("Beside baselines: W1, mean of sides", "", "W1")
    table.add_row("mark only", figure("wasserstein_pct", divergence.null_scores.wasserstein_pct))
    for free in divergence.baselines:
        shown = graded(free.scores.wasserstein_pct, free.skill, ranked=free.ranked)
        table.add_row(Text(f"{free.label} (baseline)", style="dim"), shown)
    for result in divergence.models:
        shown = graded(
            result.scores.wasserstein_pct, result.skill, ranked=result.ranked, by_chance=result.by_chance
        )
        table.add_row(Text(result.summary.label), shown)
    return [folding(table)]


def _bands(divergence: Divergence, chosen: slice) -> Table:
    labels = [result.summary.label for result in divergence.models[chosen]]
    title = "Share of each side's mass by distance from the mark"
    table = empty_table(title, "side", "distance", "truth", *labels, "mark only")
    for number, band in enumerate(divergence.bands):
        shares = (band.truth_share, *band.model_shares[chosen], band.null_share)
        table.add_row(
            Text(band.side, style=SIDE_STYLES[band.side]),
            f"{band.low_pct:g}-{band.high_pct:.3g} %",
            *("-" if share is None else f"{100 * share:.1f} %" for share in shares),
            end_section=number == len(divergence.bands) // 2 - 1,
        )
    return table


def _scores(results: Sequence[ModelResult]) -> Table:
    labels = [result.summary.label for result in results]
    table = empty_table("How far from the truth", "score", "mark only", *labels)
    by_score = [{(row.score, row.side): row for row in result.judged} for result in results]
    for key in SHOWN:
        rows = [known[key] for known in by_score]
        table.add_row(
            _score_name(*key),
            figure(rows[0].score, rows[0].null),
            *(_judged(row, result.by_chance) for row, result in zip(rows, results, strict=True)),
            end_section=key in SECTION_ENDS,
            style="bold" if key == ("wasserstein_pct", "mean") else "",
        )
    return table


def _score_name(score: str, side: str) -> str:
    if score == "share_above_error":
        return "share above, off by"
    return f"{NAMES[score]}, {BOTH_SIDES.get(side, side)}"


def _judged(row: Judged, by_chance: bool) -> Text:
    return graded(row.model, row.skill, row.score, ranked=row.ranked, by_chance=by_chance)


def _legend(divergence: Divergence) -> Text:
    lines = [
        "W1: percent of price that mass must move to turn one map into the other;",
        "mean: of the two sides; one axis: both sides together.",
        "JS: 0 equal, 1 disjoint, after smoothing by 0.3 %.",
        f"mark only: a map that {NULL_LABEL} ({divergence.null_model}).",
        "better/worse: skill = 1 - score / that map's score.",
    ]
    if not all(result.ranked for result in divergence.models):
        lines.append(
            "A figure without such a word ranks no model: see the gates above and the remarks below."
        )
    lines += undefined_reasons(divergence)
    if divergence.noise_floor_pct is not None:
        lines.append(f"Noise floor of the truth: about {divergence.noise_floor_pct:.1f} % (mean W1).")
    return Text("\n".join(lines), style="dim")


def _clusters(result: ModelResult, tolerance_pct: float) -> Table:
    truth = ", truth: its crowd" if result.clusters_of == CROWD else ""
    title = f"\nClusters: {result.summary.label} (match within {tolerance_pct:g} % of price{truth})"
    heads = ("match", "chance") if result.clusters_of else ()
    table = empty_table(title, "", "side", "truth", "mass", "model", *heads, left=2)
    for match in result.matches:
        cells = _match_cells(match) if result.clusters_of else _match_cells(match)[:3]
        table.add_row(match.role, Text(match.side, style=SIDE_STYLES[match.side]), *cells)
    if not result.clusters_of:
        return captioned(table, NOT_MATCHED)
    lines = [recall_sentence(recall, result.summary.label) for recall in result.recall if recall.wanted]
    lines.append(f"one to one: {fates_sentence(result.pairs)}")
    return captioned(table, "\n".join(lines))


def _match_cells(match: ClusterMatch) -> list[str]:
    return [
        _place(match.side, match.truth_px, match.truth_pct),
        usd(match.truth_usd),
        "-"
        if match.model_px is None or match.model_pct is None
        else _place(match.side, match.model_px, match.model_pct),
        "yes" if match.matched else "no",
        percent(match.chance, 0),
    ]


def _place(side: str, px: float, distance_pct: float) -> str:
    return f"{price(px)} {'-' if side == 'long' else '+'}{distance_pct:.1f}%"
