"""What a notebook opens: everything that is stored under one data directory, asked by coin.

Each method calls the function behind the command of the same name; nothing here reads a host. (`storage.lake` is
where the files themselves are written and read.)
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from liqtruth.compare.comparison.comparison import Comparison
from liqtruth.compare.comparison.session import compare_stored
from liqtruth.compare.drawn import drawn_series
from liqtruth.compare.modelled import modelled_map
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.text import format_duration, moment_of, parse_duration
from liqtruth.indexer.maps.drilldown import positions_between
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.maps.views import exact_history
from liqtruth.indexer.positions.catalogue import known_coins
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.files.coin_names import folded
from liqtruth.storage.store import Settings, Store

Moment = datetime | str
"""ISO 8601, e.g. `2026-08-21T12:00Z`; without a zone it is UTC."""
Length = timedelta | str
"""`90m`, `48h`, `7d`."""


class Lake:
    """Everything that is stored under one data directory; get one with `liqtruth.open`.

    Close it after use, or use it as a context manager. Coins may be written as other tools write them (`btc`,
    `BTCUSDT`), moments as ISO 8601 or datetime, lengths of time as `7d` or timedelta.

    Examples
    --------
    >>> with lt.open() as lake:
    ...     print("BTC" in lake.coins())
    True
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def coins(self) -> list[str]:
        """Coins whose positions or markets are stored.

        Returns
        -------
        list of str
            As Hyperliquid names them.

        Examples
        --------
        >>> lake.coins()[:3]
        ['BTC', 'ETH', 'HYPE']
        """
        return list(known_coins(self._store))

    def exact_map(
        self,
        coin: str,
        *,
        at: Moment | None = None,
        layer: str | None = None,
        width_bps: float = DEFAULT_WIDTH_BPS,
    ) -> Heatmap:
        """The exact heatmap: positions at the liquidation prices that the exchange itself computed.

        Parameters
        ----------
        coin : str
        at : datetime or str, optional
            The moment; default: the latest reading.
        layer : {"crowd", "whales"}, optional
            Only the crowd (each position with at most 0.3 % of open interest) or what whales hold above it.
        width_bps : float
            Width of a price bin in basis points.

        Returns
        -------
        Heatmap

        Raises
        ------
        LiqtruthError
            For a coin or a moment that nothing is stored of, and for values that cannot be used.

        Examples
        --------
        >>> truth = lake.exact_map("BTC")
        >>> truth.label, truth.coverage.positions == lake.positions("BTC").height
        ('hyperliquid exact', True)
        """
        return exact_map(self._store, _coin(coin), _moment(at), width_bps, layer)

    def model_map(
        self,
        coin: str,
        *,
        venue: str = "binance",
        model: str | None = None,
        window: Length = "30d",
        weights: str | None = None,
        leverage: Sequence[float] | None = None,
        age: str | Sequence[str] | None = None,
        since: Moment | None = None,
        at: Moment | None = None,
        width_bps: float = DEFAULT_WIDTH_BPS,
    ) -> Heatmap:
        """A modelled heatmap, from public aggregates of a venue and assumed or fitted leverages.

        Parameters
        ----------
        coin : str
        venue : str
            One exchange, several with commas, or `all`.
        model : str, optional
            `calibrated`, `vintages`, or a baseline: `tiers`, `bell`, `uniform`, `volume-profile`,
            `moving-average`, `climatology`, `persistence`, or the name of a leverage model; default: `calibrated`
            where one was fitted, else `vintages` with the shipped `population`.
        window : str or timedelta
            How far back entries are modelled.
        weights : str, optional
            Leverage model of `vintages`, by name or file.
        leverage : sequence of float, optional
            Only these leverages.
        age : str or sequence of str, optional
            Only what opened so long ago: `<4h`, `4-24h`, `1-7d`, `>7d`, or any other such as `<90m` or `4h-2d`.
        since : datetime or str, optional
            Only what opened after this moment.
        at : datetime or str, optional
            The moment; default: the end of the stored series.
        width_bps : float
            Width of a price bin in basis points.

        Returns
        -------
        Heatmap

        Raises
        ------
        LiqtruthError
            Where the venue's series are not stored or too old, no model was fitted, or a value cannot be used.

        Examples
        --------
        >>> lake.model_map("BTC", venue="binance", model="bell", window="3d").label
        'binance bell'
        """
        return modelled_map(
            self._store,
            _coin(coin),
            venue,
            model,
            format_duration(window) if isinstance(window, timedelta) else window,
            weights=weights,
            leverage=leverage,
            age=[age] if isinstance(age, str) else age,
            since=_moment(since),
            at=_moment(at),
            width_bps=width_bps,
        )

    def exact_series(
        self,
        coin: str,
        *,
        last: Length = "7d",
        step: Length | None = None,
        at: Moment | None = None,
        width_bps: float = DEFAULT_WIDTH_BPS,
        since: Moment | None = None,
        **filters: str | Sequence[str],
    ) -> HeatmapSeries:
        """Exact heatmaps over time.

        Parameters
        ----------
        coin : str
        last : str or timedelta
            How far back from `at`.
        step : str or timedelta, optional
            Time between moments; default: 48 of them.
        at : datetime or str, optional
            The last moment; default: the last reading.
        width_bps : float
            Width of a price bin in basis points.
        since : datetime or str, optional
            Only positions that were first seen after this moment.
        **filters : str or sequence of str
            Only positions of these `leverage_band`, `margin_mode`, `account_mode`, `account_size`, `age_band` or
            `position_age` (`<4h`, `4h-2d`), labelled as in a map's breakdown.

        Returns
        -------
        HeatmapSeries
            A moment before the first reading is not known, and NaN.

        Raises
        ------
        LiqtruthError
            For a coin or a moment that nothing is stored of, and for values that cannot be used.

        Examples
        --------
        >>> len(lake.exact_series("BTC", last="4h", step="1h").times)
        5
        """
        every = None if step is None else _length(step)
        chosen = {name: [one] if isinstance(one, str) else list(one) for name, one in filters.items()}
        return exact_history(
            self._store,
            _coin(coin),
            _length(last),
            every,
            _moment(at),
            width_bps,
            filters=chosen,
            since=_moment(since),
        )

    def model_series(
        self,
        coin: str,
        *,
        venue: str = "binance",
        model: str | None = None,
        last: Length = "7d",
        step: Length | None = None,
        weights: str | None = None,
        leverage: Sequence[float] | None = None,
        age: str | Sequence[str] | None = None,
        since: Moment | None = None,
        at: Moment | None = None,
    ) -> HeatmapSeries:
        """Modelled heatmaps of one venue or several over time.

        Parameters
        ----------
        coin : str
        venue : str
            One exchange, several with commas, or `all`.
        model : str, optional
            As in `model_map`.
        last : str or timedelta
            How far back from `at`.
        step : str or timedelta, optional
            Time between moments; default: by the length.
        weights, leverage, age, since, at
            As in `model_map`.

        Returns
        -------
        HeatmapSeries

        Raises
        ------
        LiqtruthError
            As `model_map`.

        Examples
        --------
        >>> lake.model_series("BTC", model="tiers", last="1d", step="1h").model
        'tiers'
        """
        return drawn_series(
            self._store,
            _coin(coin),
            venue,
            model,
            _length(last),
            None if step is None else _length(step),
            weights=weights,
            leverage=leverage,
            age=age if age is None or isinstance(age, str) else ",".join(age),
            since=_moment(since),
            at=_moment(at),
        )

    def positions(
        self, coin: str, *, at: Moment | None = None, between: tuple[float, float] | None = None
    ) -> pl.DataFrame:
        """The positions behind the exact map, each with the exchange's and the solved liquidation price.

        Parameters
        ----------
        coin : str
        at : datetime or str, optional
            The moment; default: everything that is stored.
        between : (low, high), optional
            Only liquidation prices from low up to high: largest first, with margin left and what else their accounts
            hold.

        Returns
        -------
        polars.DataFrame

        Raises
        ------
        LiqtruthError
            For a coin that nothing is stored of, and for a range that is none.

        Examples
        --------
        >>> lake.positions("BTC").select("liq_px_exchange", "liq_px_solved").width
        2
        >>> lake.positions("BTC", between=(0.9 * truth.mark_px, truth.mark_px))["distance_pct"].max() < 0
        True
        """
        if between is not None:
            return positions_between(self._store, _coin(coin), *between, _moment(at))
        return positions_as_of(self._store, _moment(at), _coin(coin))

    def compare(
        self,
        coin: str,
        *,
        truth: str = "exact",
        models: Sequence[str] | None = None,
        at: Moment | None = None,
        window: Length = "30d",
        tolerance_pct: float = 1.0,
        within_pct: float = HEADLINE_PCT,
    ) -> Comparison:
        """Models against the truth at one moment, by their names; the truth's crowd beside its whole.

        Parameters
        ----------
        coin : str
        truth : str
            `exact`, `VENUE:MODEL`, or a map file (`FILE` or `FILE#NAME`) of anyone.
        models : sequence of str, optional
            `VENUE:MODEL` or map files; default: `binance:tiers`, `binance:bell`, and fitted models where there are any.
        at : datetime or str, optional
            The moment; default: the latest reading.
        window : str or timedelta
            How far back entries are modelled.
        tolerance_pct : float
            Clusters match within this many percent of price.
        within_pct : float
            Conclusions are drawn within so many percent of the mark: 10, 25 or 50.

        Returns
        -------
        Comparison

        Raises
        ------
        LiqtruthError
            Where a map cannot be made.

        Examples
        --------
        >>> found = lake.compare("BTC", models=["binance:tiers"], window="3d")
        >>> [layer.layer for layer in found.divergence.layers]
        ['raw', 'crowd']
        """
        return compare_stored(
            self._store,
            _coin(coin),
            at=_moment(at),
            truth=truth,
            models=models,
            window=format_duration(window) if isinstance(window, timedelta) else window,
            tolerance_pct=tolerance_pct,
            within_pct=within_pct,
        )

    def close(self) -> None:
        """Let go of the database; maps that were drawn stay.

        Examples
        --------
        >>> other = lt.open()
        >>> other.close()
        """
        self._store.close()

    def __enter__(self) -> "Lake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lake({str(self._store.lake.place.beside.root)!r})"


def open(path: str | Path | None = None, *, database_url: str | None = None) -> Lake:
    """Open what is stored under a data directory.

    Parameters
    ----------
    path : str or Path, optional
        The directory, or `s3://bucket/prefix`; default: as the command line, `LIQTRUTH_DATA_DIR` or the user's data
        directory.
    database_url : str, optional
        The tables' database, `postgresql://user@host/name`; default: `LIQTRUTH_DATABASE_URL`, or a file in the
        directory.

    Returns
    -------
    Lake

    Raises
    ------
    LiqtruthError
        Where nothing is stored there, or it cannot be read.

    Examples
    --------
    >>> with lt.open() as lake:
    ...     truth = lake.exact_map("BTC")
    >>> truth.source
    'exact'
    """
    given = {"data_dir": path, "database_url": database_url}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    return Lake(Store.existing(settings))


def _coin(name: str) -> str:
    return folded(name).coin


def _moment(at: Moment | None) -> datetime | None:
    return None if at is None else moment_of(at)


def _length(length: Length) -> timedelta:
    return parse_duration(length) if isinstance(length, str) else length
