"""`flairline report OUT --corrected FILE`: a person's mask in the place of what was segmented, measured anew."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from flairline.io.nifti import read_mask, write_mask
from flairline.synthesis.phantom import phantom
from flairline.types import Mask

from ..conftest import ORIENTATIONS

QUICK = ("--method", "brightest", "--brain", "none")


@pytest.fixture
def segmented(tmp_path, flairline, save, head):
    """A folder of one scan; further words go to `segment`."""

    def make(orientation, *words):
        flair = save(tmp_path / "sub-1_FLAIR.nii.gz", head.flair, orientation)
        ran = flairline("segment", flair, *QUICK, "--no-regions", *words, "-o", tmp_path / "out")
        assert ran.code == 0, ran.err
        return tmp_path / "out" / "sub-1"

    return make


def drawn(folder, path, number=1):
    """The mask on file less its front half, and a block at the patient's left, saved by nibabel as a person would."""
    image = nib.load(folder / "mask.nii.gz")
    ras = nib.as_closest_canonical(image)
    array = np.asarray(ras.dataobj).copy()
    array[:, array.shape[1] // 2 :] = 0
    array[1:3, 2:5, 4:8] = number
    back = nib.Nifti1Image(array.astype(np.uint8), ras.affine).as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(ras.affine), nib.io_orientation(image.affine))
    )
    nib.save(back, path)
    return path


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_everything_is_measured_on_the_corrected_mask_and_says_so(orientation, segmented, tmp_path, flairline):
    folder = segmented(orientation, "--label-map")
    before = json.loads((folder / "summary.json").read_text())
    as_segmented = read_mask(folder / "mask.nii.gz").array
    given = drawn(folder, tmp_path / "mine.nii.gz", number=3)
    ran = flairline("report", folder, "--corrected", given)
    assert ran.code == 0, ran.err
    after = json.loads((folder / "summary.json").read_text())
    marked = nib.load(given)
    voxel_ml = abs(np.linalg.det(marked.affine)) / 1000
    assert after["lesion_volume_ml"] == pytest.approx(np.count_nonzero(marked.dataobj) * voxel_ml)
    assert after["lesion_volume_ml"] != before["lesion_volume_ml"]
    block = max(after["lesions"], key=lambda lesion: lesion["voxels"] == 2 * 3 * 4)
    assert block["voxels"] == 24 and block["side"] == "left"
    said = after["corrected"]
    assert (said["file"], said["volume_before_ml"]) == ("mine.nii.gz", before["lesion_volume_ml"])
    assert "note" not in after or after["note"] == ""
    np.testing.assert_array_equal(read_mask(folder / "mask_as_segmented.nii.gz").array, as_segmented)
    np.testing.assert_array_equal(np.asarray(nib.load(folder / "mask.nii.gz").dataobj) > 0, marked.get_fdata() > 0)
    labels = np.asarray(nib.load(folder / "lesions.nii.gz").dataobj)
    np.testing.assert_array_equal(labels > 0, marked.get_fdata() > 0)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Corrected by a person" in page and "A person then corrected the mask." in page and "as corrected" in page


def test_corrected_again_the_first_mask_stays_and_made_again_nothing_of_it(segmented, tmp_path, flairline):
    folder = segmented("LAS")
    first = read_mask(folder / "mask.nii.gz").array
    ml = json.loads((folder / "summary.json").read_text())["lesion_volume_ml"]
    given = drawn(folder, tmp_path / "mine.nii.gz")
    for _ in range(2):
        assert flairline("report", folder.parent, "--corrected", given).code == 0
    assert json.loads((folder / "summary.json").read_text())["corrected"]["volume_before_ml"] == ml
    np.testing.assert_array_equal(read_mask(folder / "mask_as_segmented.nii.gz").array, first)
    again = segmented("LAS", "--overwrite")
    assert "corrected" not in json.loads((again / "summary.json").read_text())
    assert not (again / "mask_as_segmented.nii.gz").exists()


def test_what_holds_the_mask_of_before_goes_and_is_named(segmented, tmp_path, flairline):
    folder = segmented("RAS")
    (folder / "t1_filled.nii.gz").write_bytes(b"of the mask of before")
    ran = flairline("report", folder, "--corrected", drawn(folder, tmp_path / "mine.nii.gz"))
    assert "t1_filled.nii.gz" in ran.err and not (folder / "t1_filled.nii.gz").exists()


def test_a_mask_on_another_grid_or_no_one_scan_is_refused_and_nothing_changes(segmented, tmp_path, flairline):
    folder = segmented("RAS")
    before = (folder / "summary.json").read_bytes()
    mask = read_mask(folder / "mask.nii.gz")
    nib.save(nib.Nifti1Image(mask.array.astype(np.uint8)[:-1], mask.space.vox_to_ras), tmp_path / "cut.nii.gz")
    ran = flairline("report", folder, "--corrected", tmp_path / "cut.nii.gz")
    assert ran.code == 2 and "on the grid of the FLAIR" in ran.err
    assert (folder / "summary.json").read_bytes() == before and not (folder / "mask_as_segmented.nii.gz").exists()
    ran = flairline("report", tmp_path, "--corrected", folder / "mask.nii.gz")
    assert ran.code == 2 and "Wanted the folder of one finished scan" in ran.err
    (tmp_path / "sub-1_FLAIR.nii.gz").unlink()
    ran = flairline("report", folder, "--corrected", folder / "mask.nii.gz")
    assert ran.code == 2 and "Put it back there." in ran.err


def test_the_regions_of_an_unchanged_mask_are_what_they_were(tmp_path, flairline):
    """Of a head with its skull, which was registered: the way to the atlas is read back."""
    scan, truth, _ = phantom(5, 3.0, ("tumour", *("periventricular",) * 3), with_skull=True)
    for name, mask in (("brain", scan.brain), ("truth", truth)):
        write_mask(tmp_path / f"{name}.nii.gz", mask)
    from flairline.io.nifti import write_volume

    write_volume(tmp_path / "flair.nii.gz", scan.flair)
    words = ("--brain", tmp_path / "brain.nii.gz", "--method", "brightest", "--no-cache")
    assert flairline("segment", tmp_path / "flair.nii.gz", *words, "-o", tmp_path / "out").code == 0
    folder = tmp_path / "out" / "flair"
    before = json.loads((folder / "summary.json").read_text())
    assert flairline("report", folder, "--corrected", folder / "mask.nii.gz").code == 0
    after = json.loads((folder / "summary.json").read_text())
    assert after["region_ml"] == pytest.approx(before["region_ml"]) and sum(after["region_ml"].values()) > 1
    for old, new in zip(before["lesions"], after["lesions"], strict=True):
        assert new["centre_atlas_mm"] == pytest.approx(old["centre_atlas_mm"], abs=0.01)
    write_mask(tmp_path / "truth.nii.gz", Mask(truth.array, scan.space))
    assert flairline("report", folder, "--corrected", tmp_path / "truth.nii.gz").code == 0
    corrected = json.loads((folder / "summary.json").read_text())
    assert sum(corrected["region_ml"].values()) == pytest.approx(truth.volume_ml)
