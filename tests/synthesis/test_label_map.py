"""Label maps as people have them: right ones are read, others refused with what is wrong."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import InputError
from flairline.synthesis.anatomy import CORTEX, SOFT, WHITE, to_classes
from flairline.synthesis.label_map import read_label_map


def head() -> np.ndarray:
    numbers = np.zeros((30, 34, 26), np.int32)
    numbers[4:26, 4:30, 4:22] = 999  # of nothing that is known
    numbers[6:24, 6:28, 6:20] = 1007  # a parcel of the left cortex
    numbers[15:24, 6:28, 6:20] = 2035
    numbers[9:21, 9:25, 9:17] = 2
    return numbers


def written(path, numbers, side_mm=1.0):
    nib.save(nib.Nifti1Image(numbers, np.diag([side_mm, side_mm, side_mm, 1])), path)
    return path


def test_parcels_of_the_cortex_are_cortex(tmp_path):
    classes = read_label_map(written(tmp_path / "aparc+aseg.nii.gz", head()))
    assert classes.shape == (30, 34, 26)
    assert (classes == WHITE).sum() == 12 * 16 * 8
    assert (classes == CORTEX).sum() == 18 * 22 * 14 - 12 * 16 * 8
    assert (classes == SOFT).sum() == 22 * 26 * 18 - 18 * 22 * 14


@pytest.mark.parametrize(
    ("numbers", "side_mm", "why"),
    [
        (head(), 2.0, "at 1 mm, but .* has voxels of 2 x 2 x 2 mm"),
        (np.where(head() == 2, 0, head()), 1.0, "white matter"),
        (np.full((9, 8, 7), 700, np.int32), 1.0, "white matter"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, numbers, side_mm, why):
    with pytest.raises(InputError, match=why):
        read_label_map(written(tmp_path / "labels.nii.gz", numbers, side_mm))


def test_numbers_that_no_atlas_has_are_soft_tissue_and_no_brain_is_said():
    numbers = head().astype(np.float64)
    numbers[4, 4, 4], numbers[5, 5, 5] = 3e9, np.nan
    classes = to_classes(numbers)
    assert (classes == WHITE).sum() == 12 * 16 * 8
    with pytest.raises(InputError, match="number that FreeSurfer gives a brain"):
        to_classes(np.full((9, 8, 7), 700.0))
