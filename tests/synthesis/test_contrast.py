"""Signal of tissue: within its ranges, in FLAIR and in T1, on plain data."""

import numpy as np

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.contrast import FLAIR, T1, draw_flair, draw_levels, draw_t1

AXES = tuple(np.arange(side, dtype=float) for side in (12, 14, 10))


def test_every_class_but_the_outside_and_the_cortex_has_a_range_in_both_channels():
    named = set(range(len(tissue.CLASSES))) - {tissue.OUTSIDE, tissue.CORTEX}
    assert set(FLAIR) == set(T1) == named


def test_levels_lie_in_their_ranges_and_white_matter_is_one():
    for seed in range(20):
        levels = draw_levels(np.random.default_rng(seed), FLAIR)
        assert levels[tissue.WHITE] == 1
        assert levels[tissue.OUTSIDE] == levels[tissue.CORTEX] == 0
        assert all(low <= levels[index] <= high for index, (low, high) in FLAIR.items())


def test_grey_matter_is_about_as_bright_as_white_in_flair_and_darker_in_t1():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        flair, t1 = draw_flair(rng, rng, AXES), draw_t1(rng, AXES)
        assert 0.95 <= flair.levels[tissue.CORTEX] <= 1.5
        assert flair.brightest == max(1, flair.levels[tissue.CORTEX])
        assert t1.levels[tissue.CORTEX] < 0.9
        assert t1.levels[tissue.CSF] < t1.levels[tissue.CORTEX]
        apart = [flair.levels[i] - flair.levels[tissue.CORTEX] for i in (tissue.CAUDATE, tissue.PUTAMEN)]
        assert np.abs(apart).max() < 0.4  # grey matter goes with the cortex


def test_what_is_bright_and_normal_comes_as_often_as_it_should():
    drawn = [draw_flair(np.random.default_rng(seed), np.random.default_rng(0), AXES) for seed in range(300)]
    assert 0.4 < np.mean([contrast.flow is not None for contrast in drawn]) < 0.6
    assert 0.72 < np.mean([contrast.lining is not None for contrast in drawn]) < 0.88
    assert 0.4 < np.mean([contrast.wide_plexus for contrast in drawn]) < 0.6
