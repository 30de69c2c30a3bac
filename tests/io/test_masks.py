import nibabel as nib
import numpy as np
import pytest

from flairline.errors import ImageError, InputError
from flairline.imaging.labels import LabelRule
from flairline.io.masks import marking_note
from flairline.io.nifti import read_mask
from flairline.types import Case

SHAPE = (7, 8, 9)
BLOCK = np.zeros(SHAPE, np.bool_)
BLOCK[2:5, 3:6, 2:7] = True


def smooth(block: np.ndarray) -> np.ndarray:
    """Shares of voxels as linear resampling makes them: .75 inside the edge, .25 outside it, along x."""
    padded = np.pad(block.astype(float), 1)
    return (0.75 * padded + 0.125 * np.roll(padded, 1, 0) + 0.125 * np.roll(padded, -1, 0))[1:-1, 1:-1, 1:-1]


def ringing(block: np.ndarray) -> np.ndarray:
    """As a cubic spline leaves it: a little above and below zero far and wide."""
    return smooth(block) + np.random.default_rng(0).uniform(-0.05, 0.05, block.shape)


def save(path, array, **words):
    image = nib.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0]))
    if words:
        image.header.set_slope_inter(**words)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("made", [smooth, ringing])
def test_a_mask_with_fractions_is_set_from_one_half(made, tmp_path):
    mask = read_mask(save(tmp_path / "a.nii", made(BLOCK).astype(np.float32)))
    np.testing.assert_array_equal(mask.array, BLOCK)
    assert mask.volume_ml == pytest.approx(BLOCK.sum() * 0.008)
    assert "has fractions" in mask.space.stored.note


@pytest.mark.parametrize("value", [1, 3, 255, 0.25])
def test_a_mask_of_one_value_is_set_where_it_is_not_zero(value, tmp_path):
    mask = read_mask(save(tmp_path / "a.nii", (BLOCK * value).astype(np.float32)))
    np.testing.assert_array_equal(mask.array, BLOCK)
    assert mask.space.stored.note == ""


@pytest.mark.parametrize(
    "array", [smooth(BLOCK) * 0.4, np.random.default_rng(0).normal(0, 1, SHAPE)], ids=["too low", "z-scores"]
)
def test_fractions_that_are_no_shares_of_voxels_are_refused(array, tmp_path):
    with pytest.raises(ImageError, match=r"Wanted a mask .* has fractions from"):
        read_mask(save(tmp_path / "a.nii", array.astype(np.float32)))


@pytest.mark.parametrize("made", [smooth, ringing])
def test_a_truth_with_fractions_is_lesion_from_one_half(made):
    labels = LabelRule().read(made(BLOCK).astype(np.float32), "truth.nii.gz")
    np.testing.assert_array_equal(labels, BLOCK.astype(np.float32))


def test_a_truth_with_fractions_whose_labels_are_named_is_refused():
    rule = LabelRule.of(Case("d", "1", extra={"lesion_labels": "1 2"}))
    with pytest.raises(InputError, match=r"whole labels in truth.nii.gz \(of them 1, 2 are named\), found fractions"):
        rule.read(smooth(BLOCK).astype(np.float32), "truth.nii.gz")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -1.0])
def test_what_is_nameless_or_below_zero_is_not_set_and_said(odd, tmp_path):
    """A NaN or infinite voxel is nothing; neither is what lies below zero."""
    values = BLOCK.astype(np.float32)
    values[0, 0, 0], values[1, 0, 0] = odd, odd
    assert not BLOCK[0, 0, 0] and not BLOCK[1, 0, 0]
    mask = read_mask(save(tmp_path / "a.nii", values))
    np.testing.assert_array_equal(mask.array, BLOCK)
    np.testing.assert_array_equal(LabelRule().merged(LabelRule().read(values, "t")), BLOCK)
    wanted = "It has values below zero (the least is -1)" if odd == -1 else "It has 2 NaN or infinite voxels"
    assert mask.space.stored.note == f"{wanted}: none of them is set."
    assert marking_note(values, "lesion") == f"{wanted}: none of them is lesion."


def test_whole_labels_stay_as_they_are():
    labels = (BLOCK * 2).astype(np.float32)
    labels[0, 0, 0] = np.nan
    read = LabelRule(lesion=(2,), known=(0, 2)).read(labels, "truth.nii.gz")
    np.testing.assert_array_equal(read, BLOCK * 2.0)


def test_a_truth_with_fractions_has_the_volume_of_its_half(tmp_path):
    """16.2 ml for 11.6 were marked where everything above zero counted."""
    from flairline.preprocess.read import read_scan

    flair = np.where(np.pad(np.ones((5, 6, 7)), 1) > 0, np.random.default_rng(1).uniform(50, 99, SHAPE), 0)
    case = Case(
        "d",
        "1",
        flair=save(tmp_path / "flair.nii", flair.astype(np.float32)),
        truth=save(tmp_path / "truth.nii", smooth(BLOCK).astype(np.float32)),
        brain=save(tmp_path / "brain.nii", (flair > 0).astype(np.float32) * 0.9),
    )
    labelled = read_scan(case).labelled(merge=True)
    assert np.count_nonzero(labelled.labels) == BLOCK.sum()


def fading(block: np.ndarray) -> np.ndarray:
    """Shares of voxels whose edges have many steps, as resampling in three directions makes them."""
    from scipy import ndimage

    return ndimage.gaussian_filter(np.pad(block.astype(float), 1), 0.5)[1:-1, 1:-1, 1:-1]


LARGE = np.zeros((17, 18, 19), np.bool_)
LARGE[3:13, 4:15, 5:14] = True


@pytest.mark.parametrize("unit", [100, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_shares_in_percent_or_as_bytes_are_set_from_one_half(unit, dtype, tmp_path):
    values = fading(LARGE) * unit
    array = (values if dtype is np.float32 else np.rint(values)).astype(dtype)
    mask = read_mask(save(tmp_path / "a.nii", array))
    np.testing.assert_array_equal(mask.array, LARGE)
    assert mask.space.stored.note == f"It has shares of {unit}: from one half on a voxel is set."
    np.testing.assert_array_equal(LabelRule().read(array.astype(np.float32), "t"), LARGE.astype(np.float32))


def test_percent_with_a_splines_ringing_is_set_from_one_half(tmp_path):
    noise = np.random.default_rng(0).uniform(-4, 4, LARGE.shape)
    mask = read_mask(save(tmp_path / "a.nii", (fading(LARGE) * 100 + noise).astype(np.float32)))
    np.testing.assert_array_equal(mask.array, LARGE)


def numbered(count: int, highest: int) -> np.ndarray:
    """Lesions of one size each, numbered from 1; the last has the highest number."""
    labels = np.zeros((count * 2, 5, 5), np.int16)
    for number in range(count):
        labels[2 * number, 1:4, 1:4] = highest if number == count - 1 else number + 1
    return labels


@pytest.mark.parametrize(("count", "highest"), [(100, 100), (12, 255), (4, 100), (30, 300)])
def test_lesions_that_are_numbered_are_no_shares(count, highest, tmp_path):
    mask = read_mask(save(tmp_path / "a.nii", numbered(count, highest)))
    assert mask.array.sum() == 9 * count and mask.space.stored.note == ""


def test_labels_that_a_data_set_names_are_no_shares():
    labels = np.rint(fading(LARGE) * 255).astype(np.float32)
    rule = LabelRule(lesion=(255,))
    np.testing.assert_array_equal(rule.read(labels, "truth.nii.gz"), labels)
