"""A leverage model is a file of shares that says where it comes from, and is refused with one line where it is none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage_model import (
    CoinShares,
    LeverageModel,
    Provenance,
    from_json,
    known_models,
    leverage_model_named,
)
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.levels import SIDES
from tests.estimator.shipped_prior import default_prior

MADE = Provenance(datetime(2026, 11, 21, tzinfo=UTC), "liqtruth 0", "for a test")


def model_of(**changes: object) -> LeverageModel:
    shares = {"rates": (0.0, 1.0), "leverage": (2.0, 10.0), "long": ((0.1, 0.2), (0.3, 0.1))}
    about = {"name": "mine", "kind": "prior", "provenance": MADE, **shares, "short": shares["long"]}
    return LeverageModel(**{**about, **changes})  # type: ignore[arg-type]


@given(st.lists(st.floats(0, 0.25), min_size=4, max_size=4))
def test_a_model_survives_its_file(shares: list[float]) -> None:
    model = model_of(long=(tuple(shares[:2]), tuple(shares[2:])))
    again = from_json(model.to_json(), "file")
    assert (again, again.hash) == (model, model.hash)
    assert model.null_share("long") == pytest.approx(1 - sum(shares))


def test_the_hash_is_of_the_content() -> None:
    assert model_of().hash == model_of().hash != model_of(short=((0.1, 0.2), (0.3, 0.2))).hash


def test_the_shipped_prior_is_what_its_function_makes_and_states_that_it_is_not_fitted() -> None:
    shipped = leverage_model_named("prior")
    made = default_prior(shipped.provenance.made_at)
    assert (shipped.leverage, shipped.long, shipped.short) == (made.leverage, made.long, made.short)
    assert (len(shipped.leverage), shipped.leverage[0], shipped.leverage[-1]) == (40, 1.6, 115)
    assert np.diff(np.log(shipped.leverage)) == pytest.approx(np.log(115 / 1.6) / 39, rel=1e-5)
    assert "prior, not fitted" in shipped.note
    assert shipped.provenance.sources
    assert 0.1 < shipped.null_share("long") < 0.25


def test_a_model_is_found_by_name_in_the_data_directory_and_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "mine.json"
    path.write_bytes(model_of().to_json())
    assert leverage_model_named("mine", tmp_path) == leverage_model_named(str(path)) == model_of()
    assert set(known_models(tmp_path)) == {"prior", "population", "mine"}


def test_the_prior_of_published_figures_is_of_large_accounts_and_can_be_called_so(tmp_path: Path) -> None:
    assert leverage_model_named("large-accounts", tmp_path) == leverage_model_named("prior")


def test_the_population_says_that_its_people_are_made_up_and_what_it_mixes() -> None:
    shipped = leverage_model_named("population")
    assert (shipped.kind, shipped.coordinate) == ("prior", "mixed")
    assert shipped.provenance.basis.startswith("made-up people")
    assert "prior, not fitted" in shipped.note
    assert all(0.0 < shipped.shares(side)[-1].sum() < 0.5 for side in SIDES)


def test_a_model_keeps_its_shares_through_a_mixture_and_back() -> None:
    prior = leverage_model_named("prior")
    there_and_back = prior.in_coordinate("mixed").in_coordinate("of-maximum")
    for side in SIDES:
        np.testing.assert_allclose(there_and_back.shares(side), prior.shares(side), atol=1e-15)
        np.testing.assert_allclose(
            prior.in_coordinate("mixed").class_shares(side), prior.shares(side).sum(axis=1), atol=1e-15
        )


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownChoice, match="unknown leverage model 'magic'; known: prior, population, or a file"
    ):
        leverage_model_named("magic")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"long": ((0.9, 0.2), (0.0, 0.0))},
            "mine: shares of long must not be negative nor sum to more than one",
        ),
        ({"short": ((-0.1, 0.2), (0.0, 0.0))}, "mine: shares of short must not be negative"),
        ({"short": ((0.1, 0.2),)}, "mine: short needs 2 rows"),
        ({"rates": (1.0, 0.5)}, "mine: rates must be numbers that ascend from at least 0"),
        ({"leverage": (0.5, 10.0)}, "mine: leverage must be numbers that ascend from at least 1"),
        ({"name": "a b"}, "must be of letters, digits, - and _, got 'a b'"),
    ],
)
def test_shares_that_are_none_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        model_of(**changes)


@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"schema": "liqtruth.leverage_model/9"}'])
def test_a_file_that_is_no_model_is_refused_with_its_place(content: bytes) -> None:
    with pytest.raises(BadInput, match=r"bad\.json is not a leverage model") as refused:
        from_json(content, "bad.json")
    assert "\n" not in str(refused.value)


def test_another_kind_is_refused() -> None:
    content = msgspec.json.decode(model_of().to_json())
    with pytest.raises(BadInput, match="kind"):
        from_json(msgspec.json.encode({**content, "kind": "guessed"}), "bad.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        leverage_model_named(str(tmp_path / "none.json"))


def test_the_hash_covers_the_model_and_what_it_rests_on() -> None:
    model = model_of()
    made = model.provenance
    again = msgspec.structs.replace(made, made_at=made.made_at + timedelta(days=1), made_by="liqtruth 9")
    assert msgspec.structs.replace(model, name="other", provenance=again).hash == model.hash
    elsewhere = msgspec.structs.replace(made, basis="another venue")
    assert msgspec.structs.replace(model, provenance=elsewhere).hash != model.hash
    assert msgspec.structs.replace(model, coordinate="of-maximum").hash != model.hash


def test_the_hash_knows_no_order_of_coins_and_nothing_that_is_empty() -> None:
    """A model without parts that later versions know keeps its hash, and with it the record of its fit."""
    model = model_of()
    btc, eth = CoinShares(model.long, model.short), CoinShares(model.short, model.long)
    one, other = (
        msgspec.structs.replace(model, coins=coins)
        for coins in ({"BTC": btc, "ETH": eth}, {"ETH": eth, "BTC": btc})
    )
    assert one.hash == other.hash != model.hash
    older = {key: value for key, value in msgspec.to_builtins(model).items() if value not in (None, {}, ())}
    assert from_json(msgspec.json.encode(older), "an older file").hash == model.hash
