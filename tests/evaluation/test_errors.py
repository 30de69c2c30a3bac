"""Where the Dice goes, on boxes whose answer is counted by hand, and on files in every orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS

from flairline.evaluation.errors import (
    FIGURES,
    Differences,
    Piece,
    dice_at_own_best,
    figures,
    near_to,
    pieces_of,
    untouched,
)
from flairline.evaluation.judged_scan import JudgedScan
from flairline.imaging.components import ComponentRule
from flairline.imaging.measure import dice
from flairline.io.nifti import read_mask

SHAPE = (31, 17, 13)
SPACING_MM = (1.0, 1.5, 2.0)
VOXEL_ML = 0.003


def boxes(*sides) -> np.ndarray:
    array = np.zeros(SHAPE, bool)
    for side in sides:
        array[side] = True
    return array


TRUTH = boxes(np.s_[4:8, 4:8, 4:8], np.s_[20:22, 10:12, 8:10])  # 64 voxels on the left, 8 on the right
MASK = boxes(
    np.s_[6:14, 4:8, 4:8],  # the right half of the large lesion, and 6 mm beyond: 32 true, 48 at 1 to 3 mm, 48 further
    np.s_[25:28, 2:4, 2:3],  # an island of 6 voxels
)
NAMES = ("false_islands_ml", "false_far_ml", "false_border_ml", "missed_lesions_ml", "missed_inside_ml")
COUNTS = (6, 48, 48, 8, 32)


def named(labels: np.ndarray) -> list[str]:
    """Regions by the half of the volume that a component begins in."""
    return ["left" if np.argwhere(labels == number)[0, 0] < 15 else "right" for number in range(1, labels.max() + 1)]


def in_voxels(piece: Piece) -> tuple[int, int]:
    return round(piece.ml / VOXEL_ML), round(piece.size_ml / VOXEL_ML)


def test_every_false_and_missing_voxel_is_of_one_kind():
    found = Differences.of(MASK, TRUTH, SPACING_MM)
    kinds = (found.islands, found.far, found.border, found.missed, found.inside)
    assert [np.count_nonzero(kind) for kind in kinds] == list(COUNTS)
    assert (sum(kind.astype(int) for kind in kinds) == (MASK ^ TRUTH)).all()
    assert found.far[11:14].any() and not found.far[:11].any()
    boxed = Differences.boxed(MASK, TRUTH, SPACING_MM)
    assert [np.count_nonzero(kind) for kind in vars(boxed).values()] == list(COUNTS)


@pytest.mark.parametrize("seed", range(3))
def test_the_kinds_add_up_on_noise(seed):
    rng = np.random.default_rng(seed)
    mask, truth = rng.random(SHAPE) < 0.04, rng.random(SHAPE) < 0.03
    found = Differences.of(mask, truth, SPACING_MM)
    assert (sum(kind.astype(int) for kind in vars(found).values()) == (mask ^ truth)).all()
    pieces = pieces_of(mask, truth, found, SPACING_MM)

    def ml(*kinds: str) -> float:
        return sum(piece.ml for piece in pieces if piece.kind in kinds)

    assert ml("found", "inside", "missed") == pytest.approx(truth.sum() * VOXEL_ML)
    assert ml("found", "border", "far", "island") == pytest.approx(mask.sum() * VOXEL_ML)


@pytest.mark.parametrize("axis", range(3))
def test_three_mm_are_border_and_more_is_far(axis):
    """Along each axis by its own voxel side: 3, 2 and 1 voxels are at most 3 mm away."""
    truth = np.zeros((15, 15, 15), bool)
    truth[7, 7, 7] = True
    line = np.zeros_like(truth)
    line[tuple(slice(7, 14) if a == axis else slice(7, 8) for a in range(3))] = True
    found = Differences.of(line, truth, SPACING_MM)
    assert np.count_nonzero(found.border) == (3, 2, 1)[axis]
    assert np.count_nonzero(found.far) == 6 - (3, 2, 1)[axis]


def test_touching_is_sharing_a_voxel_and_corners_join():
    truth = boxes((5, 5, 5))
    beside, diagonal = boxes((6, 5, 5)), boxes((5, 5, 5), (6, 6, 6))
    assert (untouched(beside, truth) == beside).all()  # next to it is not on it
    assert not untouched(diagonal, truth).any()
    found = Differences.of(beside, truth, SPACING_MM)
    assert (found.islands == beside).all() and (found.missed == truth).all() and not found.border.any()


def test_figures_are_the_dice_of_masks_that_are_mended_by_hand():
    found = figures(MASK, TRUTH, Differences.of(MASK, TRUTH, SPACING_MM), VOXEL_ML)
    small = boxes(np.s_[20:22, 10:12, 8:10])
    no_island = MASK & ~boxes(np.s_[25:28, 2:4, 2:3])
    by_hand = {
        "dice": 2 * 32 / (134 + 72),
        "dice_without_islands": 2 * 32 / (128 + 72),
        "dice_without_far": 2 * 32 / (80 + 72),
        "dice_without_false": 2 * 32 / (32 + 72),
        "dice_with_missed_lesions": 2 * 40 / (142 + 72),
        "dice_with_whole_lesions": 2 * 72 / (174 + 72),
        **{name: count * VOXEL_ML for name, count in zip(NAMES, COUNTS, strict=True)},
    }
    assert found == pytest.approx(by_hand)
    assert found["dice_with_missed_lesions"] == pytest.approx(dice(MASK | small, TRUTH))
    assert found["dice_without_islands"] == pytest.approx(dice(no_island, TRUTH))
    assert set(FIGURES) == set(found) | {"dice_at_own_best"}


def test_without_lesions_all_that_is_marked_is_islands_and_the_rest_is_undefined():
    nothing = np.zeros(SHAPE, bool)
    found = figures(MASK, nothing, Differences.of(MASK, nothing, SPACING_MM), VOXEL_ML)
    assert found["false_islands_ml"] == pytest.approx(134 * VOXEL_ML)
    assert found["false_far_ml"] == found["false_border_ml"] == 0
    assert all(math.isnan(value) for name, value in found.items() if not name.startswith("false"))
    assert not near_to(nothing, SPACING_MM).any()
    assert figures(nothing, TRUTH, Differences.of(nothing, TRUTH, SPACING_MM), VOXEL_ML)["dice"] == 0


def test_the_best_threshold_of_a_scan_is_found():
    score = np.where(TRUTH, 0.75, np.where(MASK, 0.5, 0.25)).astype(np.float32)
    brain = np.ones(SHAPE, bool)
    scan = JudgedScan.from_arrays(score, TRUTH, brain, True)
    assert dice_at_own_best(scan, ComponentRule(1)) == 1.0
    assert dice_at_own_best(scan, ComponentRule(9)) == pytest.approx(2 * 64 / (64 + 72))  # the small one goes
    assert math.isnan(dice_at_own_best(JudgedScan.from_arrays(score, ~brain, brain, True), ComponentRule(1)))


def test_pieces_are_sorted_by_their_lesion_or_by_themselves():
    pieces = pieces_of(MASK, TRUTH, Differences.of(MASK, TRUTH, SPACING_MM), SPACING_MM, named)
    listed = {
        piece.kind: (round(piece.ml / VOXEL_ML), round(piece.size_ml / VOXEL_ML), piece.region) for piece in pieces
    }
    assert listed == {
        "found": (32, 64, "left"),
        "inside": (32, 64, "left"),
        "border": (48, 64, "left"),
        "far": (48, 48, "left"),
        "missed": (8, 8, "right"),
        "island": (6, 6, "right"),
    }
    assert len(pieces) == 6
    places = {piece.kind: piece.voxel for piece in pieces}
    assert all(TRUTH[places[kind]] and not MASK[places[kind]] for kind in ("inside", "missed"))
    assert all(MASK[places[kind]] and not TRUTH[places[kind]] for kind in ("border", "far", "island"))


def test_what_is_false_between_two_lesions_goes_to_the_nearer_one():
    truth = boxes(np.s_[4:6, 4:6, 4:6], np.s_[10:12, 4:6, 4:5])  # 8 and 4 voxels, 4 voxels between them
    mask = boxes(np.s_[4:12, 4:6, 4:5])
    pieces = pieces_of(mask, truth, Differences.of(mask, truth, SPACING_MM), SPACING_MM)
    border = sorted(in_voxels(piece) for piece in pieces if piece.kind == "border")
    assert border == [(4, 4), (4, 8)]
    assert {piece.region for piece in pieces} == {""}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_files_of_every_orientation_give_the_same(orientation, save, tmp_path):
    """Voxels of unequal sides, turned on disk: the same volumes, and every piece at the same place in RAS+."""
    mask, truth = (
        read_mask(save(tmp_path / f"{name}.nii.gz", array.astype(np.uint8), orientation))
        for name, array in (("mask", MASK), ("truth", TRUTH))
    )
    sides = mask.space.spacing_mm
    differences = Differences.of(mask.array, truth.array, sides)
    found = figures(mask.array, truth.array, differences, mask.space.voxel_ml)
    assert [found[name] for name in NAMES] == pytest.approx([count * VOXEL_ML for count in COUNTS])
    expected = pieces_of(MASK, TRUTH, Differences.of(MASK, TRUTH, SPACING_MM), SPACING_MM)
    pieces = pieces_of(mask.array, truth.array, differences, sides)
    assert [(piece.kind, piece.voxel) for piece in pieces] == [(piece.kind, piece.voxel) for piece in expected]
