"""The text beside a drawing: what the map is, what it has seen, and what is not on it."""

from dataclasses import replace
from typing import Any

from liqtruth.heatmap.drawing.view import (
    coverage_line,
    head_lines,
    kind,
    remainder_line,
    side_notes,
    title,
)
from liqtruth.heatmap.heatmap import Coverage, Heatmap
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.notes import note, sentence, texts
from tests.heatmap.maps import map_of

MAP = map_of([("long", 90.0, 1e6), ("short", 1_000.0, 2e6), ("short", None, 3e6)])


def seen(**coverage: Any) -> Heatmap:
    return replace(
        MAP, coverage=Coverage(**{"open_interest_usd": 4e6, "seen_usd": Sides(1e6, 3e6), **coverage})
    )


def test_the_title_names_coin_venue_kind_moment_and_mark() -> None:
    assert title(MAP) == "BTC on hyperliquid: exact positions, 2026-08-20 12:00:00 UTC, mark 100"


def test_the_kind_names_the_model_where_there_is_one() -> None:
    assert kind(replace(MAP, source="modelled", model="tiers")) == "model tiers"
    assert kind(replace(MAP, source="imported")) == "imported map"


def test_the_label_is_venue_and_model_or_source() -> None:
    assert MAP.label == "hyperliquid exact"
    assert replace(MAP, venue="binance", source="modelled", model="tiers").label == "binance tiers"


def test_coverage_is_reported_per_side_with_the_open_interest() -> None:
    assert coverage_line(seen()) == "covers 25.0 % of long and 75.0 % of short open interest ($4M)"


def test_a_model_does_not_cover_open_interest_but_places_it() -> None:
    assert coverage_line(replace(seen(), source="modelled")).startswith("places 25.0 % of long")


def test_without_open_interest_what_was_seen_is_reported_in_dollars() -> None:
    assert coverage_line(seen(open_interest_usd=None)) == "open interest unknown; seen $1M long / $3M short"


def test_positions_accounts_and_age_are_reported_where_they_are_known() -> None:
    message = coverage_line(seen(positions=12_345, accounts=6_789, oldest_age_s=720.0))
    assert message.endswith("; 12,345 positions of 6,789 accounts, oldest read 12 min before its moment")


def test_what_is_not_drawn_is_reported_per_side() -> None:
    message = remainder_line(MAP)
    assert message == "not drawn: no price liquidates $0 long / $3M short; off the grid $0 long / $2M short"


def test_unknown_collateral_and_crossed_positions_are_reported_only_where_there_are_some() -> None:
    message = remainder_line(
        seen(unknown_usd=Sides(5e5, 0.0), crossed_positions=2, crossed_usd=Sides(0.0, 7e5))
    )
    assert "collateral unknown $500k long / $0 short" in message
    assert "already past their price $0 long / $700k short, booked at the mark" in message
    assert "collateral" not in remainder_line(MAP)
    assert "past their price" not in remainder_line(seen(crossed_positions=0))


def test_what_was_wrong_with_the_input_is_reported_between_the_remainder_and_the_notes() -> None:
    flawed = replace(seen(notes=(sentence("a note"),)), quality=(sentence("2 prices of zero dropped"),))
    assert side_notes(flawed) == (remainder_line(MAP), "input: 2 prices of zero dropped", "a note")
    assert side_notes(MAP) == (remainder_line(MAP),)


def test_how_much_is_whales_is_read_first_and_not_twice() -> None:
    whales = note(
        "only_crowd", shares=(0.5, 0.25), cut_share=0.003, cut_usd=(1e5, 1e5), of_open_interest=True
    )
    drawn = seen(notes=(sentence("a note"), whales))
    assert head_lines(drawn) == (coverage_line(drawn), whales.text)
    assert side_notes(drawn) == (remainder_line(MAP), "a note")


def test_what_a_fitted_model_does_not_know_here_is_reported_beside_every_drawing() -> None:
    lacking = (
        note("not_levelled", venue="okx", whose="Hyperliquid"),
        note("unbounded_not_levelled", venue="okx"),
    )
    drawn = replace(seen(notes=(sentence("a note"),)), assumptions=(sentence("an assumption"), *lacking))
    assert side_notes(drawn) == (remainder_line(MAP), *texts(lacking), "a note")
