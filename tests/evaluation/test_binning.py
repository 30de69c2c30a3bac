import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flairline.evaluation.binning import N_BINS, RELATIVE_WIDTH, ZERO_BIN, bin_starts, bins_of, coarse_starts

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, st.integers(1, 60), elements=FLOATS))
def test_the_order_of_floats_is_kept(scores):
    ordered = np.sort(scores)
    assert (np.diff(bins_of(ordered)) >= 0).all()


@given(arrays(np.float32, st.integers(1, 60), elements=FLOATS))
def test_a_score_lies_in_its_bin(scores):
    starts, bins = bin_starts(), bins_of(scores)
    assert (starts[bins] <= scores).all()
    inner = bins < N_BINS - 1
    assert (scores[inner] < starts[bins[inner] + 1]).all()


def test_starts_ascend_and_fall_into_their_own_bins():
    starts = bin_starts()
    assert starts.size == N_BINS and np.isfinite(starts).all() and (np.diff(starts) > 0).all()
    np.testing.assert_array_equal(bins_of(starts), np.arange(N_BINS))


def test_zero_of_either_sign_has_a_bin_of_its_own():
    tiny = np.nextafter(np.float32(0), np.float32([-1, 1]))
    np.testing.assert_array_equal(bins_of(np.float32([0.0, -0.0])), [ZERO_BIN, ZERO_BIN])
    np.testing.assert_array_equal(bins_of(tiny), [ZERO_BIN - 1, ZERO_BIN + 1])


def test_bins_are_as_narrow_as_stated():
    starts = bin_starts().astype(np.float64)
    inner = (starts[:-1] >= 2.0**-14) & (starts[1:] <= 2.0**14)
    widths = np.diff(starts)[inner] / starts[:-1][inner]
    assert inner.sum() > 100_000 and widths.max() <= RELATIVE_WIDTH * (1 + 1e-12)
    outer = (starts[:-1] >= np.finfo(np.float32).tiny) & ~inner
    assert (np.diff(starts)[outer] / starts[:-1][outer]).max() <= 2.0**-4 * (1 + 1e-12)


def test_coarse_bins_cut_the_fine_ones():
    coarse = coarse_starts()
    assert coarse[0] == 0 and (np.diff(coarse) > 0).all() and coarse[-1] < N_BINS
    assert ZERO_BIN in coarse and ZERO_BIN + 1 in coarse
    starts = bin_starts()[coarse].astype(np.float64)
    usual = (starts[:-1] >= 2.0**-6) & (starts[1:] <= 2.0**8)
    assert (np.diff(starts)[usual] / starts[:-1][usual]).max() <= 1 / 56
