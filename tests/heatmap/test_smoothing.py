"""Smoothing and peaks are scipy's, whose modules take longer to load than most commands run."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from liqtruth.heatmap.clusters.smoothing import gaussian, peaks
from liqtruth.heatmap.grid import FloatArray

ROWS = arrays(np.float64, st.integers(3, 120), elements=st.integers(0, 12).map(float))


@given(ROWS, st.floats(0.0, 8.0))
def test_peaks_are_those_of_scipy_plateaus_included(values: FloatArray, prominence: float) -> None:
    assert peaks(values, prominence).tolist() == find_peaks(values, prominence=prominence)[0].tolist()


@given(ROWS, st.floats(0.5, 6.0))
def test_smoothing_is_that_of_scipy(values: FloatArray, sd_bins: float) -> None:
    near = {"rtol": 1e-12, "atol": 1e-12}
    mirrored = gaussian(values, sd_bins, reflect=True)
    assert np.allclose(mirrored, gaussian_filter1d(values, sd_bins), **near)
    assert np.allclose(gaussian(values, sd_bins), gaussian_filter1d(values, sd_bins, mode="constant"), **near)
    assert np.isclose(mirrored.sum(), values.sum())


def test_maps_and_their_clusters_load_no_scipy() -> None:
    modules = "liqtruth.heatmap.clusters.distribution, liqtruth.indexer.maps.views"
    line = f"import {modules}, sys; print('scipy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", line], text=True).strip() == "False"
