"""Rules of a mask on boxes whose answer is counted by hand, with voxels of unequal sides."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS

from flairline.imaging.components import ComponentRule, label_components
from flairline.io.nifti import read_mask, read_volume
from flairline.postprocess.mask_rules import Marked, after_rules
from flairline.postprocess.masses import (
    BesideMass,
    ClosedMass,
    GrownMass,
    TighterScatter,
    closed_by_ball,
    depths_mm,
    masses,
)
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.threshold import GivenValue
from flairline.types import Mask, Space, Volume

SHAPE = (41, 31, 21)
SPACING_MM = (1.0, 1.5, 2.0)
MASS = np.s_[5:20, 5:15, 4:13]  # 15 x 15 x 18 mm: 8 mm deep along x, 7.5 along y, 10 along z
SPOT = np.s_[30:33, 20:23, 10:12]


def boxes(*sides) -> np.ndarray:
    array = np.zeros(SHAPE, bool)
    for side in sides:
        array[side] = True
    return array


def marked(mask: np.ndarray, score: np.ndarray | None = None, threshold: float = 0.4) -> Marked:
    score = np.where(mask, 0.5, 0.0) if score is None else score
    return Marked(mask, score.astype(np.float32), np.ones(SHAPE, bool), SPACING_MM, threshold)


def test_depth_is_the_way_out_in_mm():
    labels = np.zeros(SHAPE, np.int32)
    labels[MASS], labels[SPOT] = 1, 3
    assert depths_mm(labels, SPACING_MM).tolist() == [0, 7.5, 0, 2]
    slab = np.ones((9, 9, 1), np.int32)
    assert depths_mm(slab, (2.0, 2.0, 8.0)).tolist() == [0, 8.0]  # a thick slice alone is as deep as it is thick


def test_only_what_is_deep_is_a_mass():
    mask = boxes(MASS, SPOT)
    assert (masses(mask, SPACING_MM, 7.5) == boxes(MASS)).all()
    assert not masses(mask, SPACING_MM, 7.6).any()


def test_a_mass_grows_to_what_is_connected_above_the_lower_level_and_near():
    mask = boxes(MASS, SPOT)
    score = np.where(mask, 0.5, 0.0)
    score[20:30, 5:15, 4:13] = 0.25  # from the mass to the right, 10 mm
    score[5:20, 25:28, 4:13] = 0.25  # not connected
    score[33:36, 20:23, 10:12] = 0.25  # beside the spot
    grown = GrownMass(7.0, 0.5, 4.0)(marked(mask, score))
    assert (grown == boxes(MASS, SPOT, np.s_[20:24, 5:15, 4:13])).all()
    assert (GrownMass(7.0, 0.7, 4.0)(marked(mask, score)) == mask).all()
    assert (GrownMass(9.0, 0.5, 4.0)(marked(mask, score)) == mask).all()


def test_growing_does_not_jump_over_what_is_beyond_its_reach():
    """A way that leaves the reach and comes back is no way: what lies behind a gap stays away."""
    mask = boxes(MASS)
    score = np.where(mask, 0.5, 0.0)
    score[21:23, 5:15, 4:13] = 0.25  # behind a gap of one voxel
    assert (GrownMass(7.0, 0.5, 4.0)(marked(mask, score)) == mask).all()


def test_a_mass_closes_over_its_core_and_a_spot_does_not():
    ring = boxes(MASS) & ~boxes(np.s_[9:16, 8:12, 7:10])
    bay = boxes(MASS) & ~boxes(np.s_[12:14, 5:15, 9:13])  # open to three sides, 2 mm wide
    hollow = boxes(np.s_[30:37, 20:27, 10:17]) & ~boxes((33, 23, 13))
    for mass, radius_mm in ((ring, 3.0), (bay, 3.0)):
        assert masses(mass, SPACING_MM, 3.0).any()
        closed = ClosedMass(3.0, radius_mm)(marked(mass | hollow))
        assert closed[MASS][2:-2, 2:-2, 2:-2].all()
        assert not (closed & ~boxes(MASS) & ~hollow & ~boxes((33, 23, 13))).any()
    assert not ClosedMass(7.0, 3.0)(marked(ring | hollow))[33, 23, 13]


def test_closing_stays_within_the_brain_and_the_array():
    mask = boxes(np.s_[0:15, 0:12, 0:10]) & ~boxes(np.s_[6:8, 0:12, 5:10])
    brain = np.ones(SHAPE, bool)
    brain[6:8, 0:6, 5:] = False
    given = marked(mask)
    closed = ClosedMass(5.0, 3.0)(Marked(mask, given.score, brain, SPACING_MM, 0.4))
    assert not closed[~brain].any()
    assert closed[6:8, 7:11, 5:9].all()
    assert closed_by_ball(mask, SPACING_MM, 3.0).shape == SHAPE


def test_what_is_no_mass_is_cut_higher():
    mask = boxes(MASS, SPOT)
    score = np.where(mask, 0.45, 0.0)
    score[31, 21, 10] = 0.9
    cut = TighterScatter(7.0, 1.5)(marked(mask, score))
    assert (cut == boxes(MASS, (31, 21, 10))).all()
    assert (TighterScatter(7.0, 1.5, most=0.45)(marked(mask, score)) == mask).all()
    assert (TighterScatter(7.0, 0.5)(marked(mask, score)) == mask).all()  # never lower
    assert (TighterScatter(8.0, 1.5)(marked(mask, score)) == boxes((31, 21, 10))).all()


def test_beside_a_mass_what_is_small_goes():
    mask = boxes(MASS, SPOT, np.s_[25:30, 5:10, 5:10])  # 1350, 18 and 125 voxels
    assert (BesideMass(7.0, 0.05)(marked(mask)) == boxes(MASS, np.s_[25:30, 5:10, 5:10])).all()
    assert (BesideMass(7.0, 0.1)(marked(mask)) == boxes(MASS)).all()
    assert (BesideMass(9.0, 0.1)(marked(mask)) == mask).all()


def test_beside_a_mass_what_is_sure_stays_however_small():
    mask = boxes(MASS, SPOT, np.s_[25:28, 5:8, 5:7])
    score = np.where(mask, 0.5, 0.0)
    score[SPOT] = 0.875
    score[30, 20, 10] = -0.475  # mean of the 18 voxels: .8
    for sure, kept in ((0.75, boxes(MASS, SPOT)), (0.85, boxes(MASS))):
        assert (BesideMass(7.0, 0.1, sure)(marked(mask, score)) == kept).all()
    assert (BesideMass(9.0, 0.1, 0.75)(marked(mask, score)) == mask).all()


def test_a_hair_of_depth_decides_nothing_where_the_demand_rises():
    """A lesion of 6.03 or 5.9999 mm made 28 % more volume, because all that is doubtful beside it went at once."""
    mask = boxes(MASS, SPOT)
    deep = float(depths_mm(label_components(mask)[0], SPACING_MM).max())
    score = np.where(mask, 0.5, 0.0)

    def stays(depth_mm: float, ramp_mm: float) -> bool:
        return bool(BesideMass(depth_mm, 0.1, 0.8, ramp_mm)(marked(mask, score))[SPOT].all())

    assert [stays(deep + d, 0.0) for d in (-0.01, 0.01)] == [False, True]
    assert [stays(deep + d, 2.0) for d in (-0.01, 0.01)] == [True, True]  # half of .8 is asked for
    assert [stays(deep + d, 2.0) for d in (-2.5, -0.6, -0.4, 2.5)] == [False, False, True, True]  # .8, .52, .48, none
    with pytest.raises(ValueError, match="finite"):
        BesideMass(6.0, 0.1, ramp_mm=1.0)


@pytest.mark.parametrize("rule", [GrownMass(7, 0.5, 4), ClosedMass(7, 3), TighterScatter(7, 1.5), BesideMass(7, 0.1)])
def test_an_empty_mask_stays_empty(rule):
    assert not rule(marked(np.zeros(SHAPE, bool))).any()


def test_rules_follow_each_other_in_the_brains_box():
    space = Space(SHAPE, np.diag([*SPACING_MM, 1.0]))
    score = np.where(boxes(MASS), 0.5, 0.0)
    score[20:22, 5:15, 4:13] = 0.25
    brain = Mask(boxes(np.s_[2:38, 2:28, 2:19]), space)
    rules = (GrownMass(7.0, 0.5, 4.0), BesideMass(7.0, 0.5))
    found = after_rules(Mask(boxes(MASS, SPOT), space), Volume(score.astype(np.float32), space), brain, 0.4, rules)
    assert (found.array == boxes(np.s_[5:22, 5:15, 4:13])).all()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_recipe_applies_its_rules_in_every_orientation(orientation, save, tmp_path):
    score = np.where(boxes(MASS, SPOT), 0.5, 0.0)
    score[20:22, 5:15, 4:13] = 0.25
    brain = np.ones(SHAPE, np.uint8)
    paths = [save(tmp_path / f"{n}.nii.gz", a, orientation) for n, a in (("s", score.astype(np.float32)), ("b", brain))]
    recipe = Recipe(
        "r", "intensity", ComponentRule(5), GivenValue(0.4), mask_rules=(GrownMass(7, 0.5, 4), BesideMass(7, 0.5))
    )
    found, threshold = recipe.mask(read_volume(paths[0]), read_mask(paths[1]), recipe.threshold)
    assert threshold.value == 0.4
    assert (found.array == boxes(np.s_[5:22, 5:15, 4:13])).all()
    left = dict(recipe.without_each_rule())
    assert [len(other.mask_rules) for other in left.values()] == [1, 1, 0]
    plain, _ = left["all rules of the mask"].mask(read_volume(paths[0]), read_mask(paths[1]), recipe.threshold)
    assert (plain.array == boxes(MASS, SPOT)).all()
