"""Label images, read by nibabel and SimpleITK: every lesion has its number where it lies, in any orientation."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from flairline.exports.label_map import write_label_maps
from flairline.exports.tables import TABLES
from flairline.imaging.regions import REGIONS

from ..conftest import ORIENTATIONS

PLACES = ("periventricular", "juxtacortical", "periventricular")


def centre_by_nibabel(path, number):
    image = nib.load(path)
    return nib.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj) == number).mean(axis=0))


def centre_by_itk(path, number):
    """In RAS; ITK's points are LPS."""
    image = SimpleITK.ReadImage(str(path))
    shapes = SimpleITK.LabelShapeStatisticsImageFilter()
    shapes.Execute(image)
    return np.array(shapes.GetCentroid(number)) * [-1, -1, 1]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_lesion_has_its_number_where_it_lies(orientation, make_found, tmp_path):
    found = make_found(orientation, PLACES)
    write_label_maps(found, tmp_path / "out")
    path, source = tmp_path / "out" / "lesions.nii.gz", nib.load(tmp_path / f"flair-{orientation}.nii.gz")
    written = nib.load(path)
    assert written.shape == source.shape and nib.aff2axcodes(written.affine) == nib.aff2axcodes(source.affine)
    np.testing.assert_allclose(written.affine, source.affine, atol=1e-5)
    numbers = np.asarray(written.dataobj)
    assert np.issubdtype(numbers.dtype, np.integer) and np.bincount(numbers.ravel())[1:].tolist() == [80, 36, 2]
    for number, lesion in enumerate(found.summary.lesions, start=1):
        for read in (centre_by_nibabel, centre_by_itk):
            np.testing.assert_allclose(read(path, number), lesion.centre_mm, atol=1e-3)
    assert [lesion.side for lesion in found.summary.lesions] == ["left", "right", "right"]


def test_a_region_has_the_voxels_of_its_lesions(make_found, tmp_path):
    found = make_found("LPS", PLACES)
    paths = write_label_maps(found, tmp_path)
    numbers = np.asarray(nib.load(tmp_path / "regions.nii.gz").dataobj)
    counts = dict(zip(REGIONS, np.bincount(numbers.ravel(), minlength=6)[1:].tolist(), strict=True))
    assert counts == {**dict.fromkeys(REGIONS, 0), "periventricular": 82, "juxtacortical": 36}
    for name, ml in found.summary.region_ml.items():
        assert counts[name] * found.scan.space.voxel_ml == pytest.approx(ml)
    assert {path.name for path in paths} == {
        f"{stem}{ending}" for stem in ("lesions", "regions") for ending in (".nii.gz", *TABLES)
    }
    assert "1 lesion_1_left_periventricular " in (tmp_path / "lesions_LUT.txt").read_text()


def test_without_regions_no_file_of_an_earlier_run_stays(make_found, tmp_path):
    write_label_maps(make_found("RAS", PLACES), tmp_path)
    write_label_maps(make_found("RAS"), tmp_path)
    assert {path.name for path in tmp_path.glob("regions*")} == set()
    assert "lesion 1 left\n" in (tmp_path / "lesions_fsleyes.lut").read_text()
