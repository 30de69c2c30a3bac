"""Metrics of one scan, against scikit-learn, scikit-image or a case worked out by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import hausdorff_distance
from sklearn.metrics import f1_score, precision_score, recall_score

from flairline import registry

SHAPE = (7, 8, 9)
NOTHING = np.zeros(SHAPE, bool)
SPACING_MM = (1.0, 1.5, 2.0)
VOXEL_ML = 0.003


def metric(name, **words) -> float:
    return registry.load("metrics", name)(**words)


def block(*corners: tuple[slice, slice, slice] | tuple[int, int, int]) -> np.ndarray:
    array = NOTHING.copy()
    for corner in corners:
        array[corner] = True
    return array


@pytest.mark.parametrize("seed", range(3))
def test_voxel_metrics_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    mask, truth = rng.random(SHAPE) < 0.3, rng.random(SHAPE) < 0.2
    flat = truth.ravel(), mask.ravel()
    assert metric("dice", mask=mask, truth=truth) == pytest.approx(f1_score(*flat))
    assert metric("dice_at_oracle", mask_at_oracle=mask, truth=truth) == pytest.approx(f1_score(*flat))
    assert metric("ppv", mask=mask, truth=truth) == pytest.approx(precision_score(*flat))
    assert metric("sensitivity", mask=mask, truth=truth) == pytest.approx(recall_score(*flat))


def test_volumes_by_hand():
    mask, truth = block(np.s_[0:2, 0:3, 0:1]), block(np.s_[1:3, 0:3, 0:2])  # 6 and 12 voxels, 3 shared
    words = {"mask": mask, "truth": truth, "spacing_mm": SPACING_MM}
    assert metric("volume_error_ml", **words) == pytest.approx((6 - 12) * VOXEL_ML)
    assert metric("false_positive_ml", **words) == pytest.approx(3 * VOXEL_ML)


def test_lesions_by_hand():
    # Three lesions, the first two touching at a corner only once mask bridges them not at all.
    truth = block(np.s_[0:2, 0:2, 0:2], (6, 0, 0), (6, 7, 8))
    mask = block((1, 1, 1), (6, 1, 1), (3, 5, 5), (5, 6, 7))
    # Hit: the block (by a shared voxel). The mask's (6, 1, 1) touches the lesion (6, 0, 0), but shares no voxel.
    assert metric("lesion_recall", mask=mask, truth=truth) == pytest.approx(1 / 3)
    # Found components: 4, of which 1 hits.
    assert metric("lesion_f1", mask=mask, truth=truth) == pytest.approx(2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4))


def test_voxels_that_share_a_corner_are_one_lesion():
    truth = block((1, 1, 1), (2, 2, 2))
    assert metric("lesion_recall", mask=block((1, 1, 1)), truth=truth) == 1.0
    assert metric("lesion_f1", mask=block((1, 1, 1)), truth=truth) == 1.0


def test_one_component_may_hit_two_lesions():
    truth = block((0, 0, 0), (0, 0, 4))
    mask = block(np.s_[0, 0, 0:5])
    assert metric("lesion_recall", mask=mask, truth=truth) == 1.0
    assert metric("lesion_f1", mask=mask, truth=truth) == 1.0


def test_hd95_of_shifted_blocks_by_hand():
    one, two = block(np.s_[1:3, 1:4, 1:4]), block(np.s_[3:5, 1:4, 1:4])
    for mask, truth in ((one, two), (two, one)):
        assert metric("hd95_mm", mask=mask, truth=truth, spacing_mm=SPACING_MM) == pytest.approx(2.0)
    up = block(np.s_[1:3, 1:4, 3:6])
    assert metric("hd95_mm", mask=one, truth=up, spacing_mm=SPACING_MM) == pytest.approx(4.0)


def test_hd95_takes_the_larger_direction():
    truth = block(np.s_[0:7, 0, 0])
    mask = block((0, 0, 0))
    # From the mask to the truth 0; from the truth 0 to 6 mm, of which the 95th percentile is 5.7.
    for pair in ({"mask": mask, "truth": truth}, {"mask": truth, "truth": mask}):
        assert metric("hd95_mm", **pair, spacing_mm=(1, 1, 1)) == pytest.approx(5.7)


def test_hd95_never_exceeds_the_hausdorff_distance_of_scikit_image():
    rng = np.random.default_rng(3)
    for _ in range(5):
        mask, truth = rng.random(SHAPE) < 0.02, rng.random(SHAPE) < 0.02
        if mask.any() and truth.any():
            value = metric("hd95_mm", mask=mask, truth=truth, spacing_mm=(1, 1, 1))
            assert 0 < value <= hausdorff_distance(mask, truth) + 1e-9


def test_identical_masks():
    same = block(np.s_[1:4, 2:5, 3:6])
    words = {"mask": same, "truth": same, "spacing_mm": SPACING_MM}
    assert metric("hd95_mm", **words) == 0 and metric("volume_error_ml", **words) == 0
    assert metric("lesion_f1", mask=same, truth=same) == metric("dice", mask=same, truth=same) == 1


@pytest.mark.parametrize("name", ["dice", "lesion_f1", "lesion_recall", "sensitivity"])
def test_without_lesions_it_is_undefined(name):
    for mask in (NOTHING, block((1, 1, 1))):
        assert math.isnan(metric(name, mask=mask, truth=NOTHING))


def test_without_lesions_dice_at_oracle_is_undefined():
    assert math.isnan(metric("dice_at_oracle", mask_at_oracle=block((1, 1, 1)), truth=NOTHING))


def test_a_healthy_scan_has_its_false_positive_volume():
    words = {"mask": block(np.s_[0:2, 0:2, 0:2]), "truth": NOTHING, "spacing_mm": SPACING_MM}
    assert metric("false_positive_ml", **words) == pytest.approx(8 * VOXEL_ML)
    assert metric("volume_error_ml", **words) == pytest.approx(8 * VOXEL_ML)
    assert metric("false_positive_ml", mask=NOTHING, truth=NOTHING, spacing_mm=SPACING_MM) == 0


def test_an_empty_mask():
    words = {"mask": NOTHING, "truth": block((1, 1, 1))}
    assert metric("dice", **words) == metric("sensitivity", **words) == 0
    assert metric("lesion_recall", **words) == metric("lesion_f1", **words) == 0
    assert math.isnan(metric("ppv", **words))
    assert math.isnan(metric("hd95_mm", **words, spacing_mm=SPACING_MM))
    assert math.isnan(metric("hd95_mm", mask=words["truth"], truth=NOTHING, spacing_mm=SPACING_MM))
