"""The mask on the T1's own grid, as nibabel reads it, whatever the orientation of either file."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from flairline.errors import InputError
from flairline.exports.after import Wanted, write_exports
from flairline.exports.on_t1 import check_t1, on_t1
from flairline.imaging.points import PointMap
from flairline.io.nifti import read_volume
from flairline.preprocess.brain import BrainSource
from flairline.preprocess.prepared import Prepared
from flairline.types import Case

from ..conftest import ORIENTATIONS, rotation

MOVED = np.eye(4)
MOVED[:3, :3], MOVED[:3, 3] = rotation(4, -3), (2.0, -3.0, 1.5)
"""Points of the FLAIR -> points of the T1, whose head lay elsewhere."""


def with_t1(found, save, path, orientation):
    """The same result with a T1 on a finer grid, its head moved by `MOVED`."""
    sides = (1.0, 1.0, 1.5)
    t1 = read_volume(save(path, np.ones((40, 60, 50), np.float32), orientation, spacing_mm=sides))
    to_t1 = PointMap("flair", "t1", MOVED)
    prepared = Prepared(Case("", "sub-1"), found.scan, BrainSource("given", "flair"), t1=t1, flair_to_t1=to_t1)
    scan = replace(found.scan, sources={"t1": f"/somewhere/{path.name}"})
    return replace(found, scan=scan, prepared=prepared)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_fmripreps_mask_lies_on_the_t1s_own_grid_where_the_lesions_are(orientation, make_found, save, tmp_path):
    t1_file = tmp_path / "sub-1_acq-x_T1w.nii.gz"
    found = with_t1(make_found("LAS"), save, t1_file, orientation)
    (path,) = write_exports(found, tmp_path / "out", Wanted(fmriprep_roi=True))
    assert path == tmp_path / "out/fmriprep/sub-1/anat/sub-1_acq-x_label-lesion_roi.nii.gz"
    image, t1 = nib.load(path), nib.load(t1_file)
    assert image.shape == t1.shape and image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, t1.affine, atol=1e-5)
    array = np.asarray(image.dataobj)
    assert set(np.unique(array)) == {0, 1}
    # Corners go where the grids differ; the lesions have 80, 36 and 2 voxels.
    assert array.sum() * abs(np.linalg.det(image.affine)) / 1000 == pytest.approx(found.mask.volume_ml, rel=0.15)
    components, _ = ndimage.label(array)
    for lesion in found.summary.lesions[:2]:
        place = nib.affines.apply_affine(MOVED, lesion.centre_mm)
        middle = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), place)).astype(int)
        component = np.argwhere(components == components[tuple(middle)])
        assert array[tuple(middle)] == 1
        found_mm = nib.affines.apply_affine(image.affine, component.mean(axis=0))
        np.testing.assert_allclose(found_mm, place, atol=0.4)


def test_a_t1_on_the_flairs_grid_has_the_mask_voxel_by_voxel(make_found):
    found = make_found("LPS", ("grey matter", "juxtacortical", "infratentorial"))
    seen = on_t1(found)
    np.testing.assert_array_equal(seen.lesions.array, found.mask.array)
    assert np.count_nonzero(seen.white_lesions.array) == 36 + 2  # without the largest, in grey matter


def test_a_scan_without_a_t1_is_refused_before_and_after(make_found, tmp_path):
    found = make_found()
    found = replace(found, scan=found.scan.with_images(t1=None))
    with pytest.raises(InputError, match=r"Wanted a T1 .* but sub-1 has none\. Give it with --t1\."):
        write_exports(found, tmp_path, Wanted(fill_t1=True))
    with pytest.raises(InputError, match="Wanted a T1"):
        check_t1(Case("", "sub-1"))
    assert not list(tmp_path.glob("*filled*"))
