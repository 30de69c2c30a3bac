"""`flairline segment --label-map --fill-t1 --fmriprep-roi`: files in four orientations, read by nibabel alone."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ..conftest import ORIENTATIONS

QUICK = ("--method", "brightest", "--brain", "none", "--no-regions", "--no-report")


def t1_of(head):
    """White inside the ellipsoid, grey around it; the lesion is dark."""
    t1 = np.where(head.brain, 300, 0).astype(np.float32)
    t1[3:-3, 3:-3, 3:-3] = np.where(head.brain, 500, 0)[3:-3, 3:-3, 3:-3]
    t1[5:9, 4:6, 8:11] = 100
    t1[head.truth] = 200
    noise = np.random.default_rng(1).normal(0, 5, t1.shape).astype(np.float32)
    return np.where(head.brain, t1 + noise, 0).astype(np.float32)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_export_lies_as_its_image_and_on_the_lesions_side(orientation, tmp_path, flairline, save, head):
    flair = save(tmp_path / "sub-1_FLAIR.nii.gz", head.flair, "LAS" if orientation != "oblique" else "oblique")
    t1 = save(tmp_path / "sub-1_run-2_T1w.nii.gz", t1_of(head), orientation)
    flags = ("--label-map", "--fill-t1", "--fmriprep-roi")
    ran = flairline("segment", flair, "--t1", t1, *QUICK, *flags, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    folder = tmp_path / "out" / "sub-1"
    lesions = json.loads((folder / "summary.json").read_text())["lesions"]
    roi = folder / "fmriprep/sub-1/anat/sub-1_run-2_label-lesion_roi.nii.gz"
    for path, source in ((folder / "lesions.nii.gz", flair), (folder / "t1_filled.nii.gz", t1), (roi, t1)):
        written, like = nib.load(path), nib.load(source)
        assert written.shape == like.shape, path
        np.testing.assert_allclose(written.affine, like.affine, atol=1e-5)
    before, after, marked = (nib.load(path).get_fdata() for path in (t1, folder / "t1_filled.nii.gz", roi))
    np.testing.assert_array_equal(before != after, marked == 1)
    assert before[marked == 1].mean() < 250 and after[marked == 1].mean() == pytest.approx(500, abs=15)
    image = nib.load(folder / "lesions.nii.gz")
    for number, lesion in enumerate(lesions, start=1):
        places = np.argwhere(np.asarray(image.dataobj) == number)
        centre_mm = nib.affines.apply_affine(image.affine, places.mean(axis=0))
        np.testing.assert_allclose(centre_mm, lesion["centre_mm"], atol=1e-3)
    assert [lesion["side"] for lesion in lesions] == ["left"]


def test_a_scan_without_a_t1_fails_alone_before_it_is_segmented(tmp_path, flairline, save, head):
    for name in ("flair", "t1"):
        save(tmp_path / f"{name}.nii.gz", head.flair if name == "flair" else t1_of(head))
    rows = ["dataset,subject,flair,t1", "d,with,flair.nii.gz,t1.nii.gz", "d,without,flair.nii.gz,"]
    (tmp_path / "cases.csv").write_text("\n".join([*rows, ""]))
    ran = flairline("segment", "--cases", tmp_path / "cases.csv", *QUICK, "--fill-t1", "-o", tmp_path / "out")
    assert ran.code == 1 and "without: Wanted a T1 for --fill-t1" in ran.err and "Give it with --t1" in ran.err
    assert (tmp_path / "out" / "with" / "t1_filled.nii.gz").exists()
    assert not (tmp_path / "out" / "without").exists()
    alone = flairline("segment", tmp_path / "flair.nii.gz", *QUICK, "--fmriprep-roi", "-o", tmp_path / "alone")
    assert alone.code == 2 and "Wanted a T1" in alone.err


def test_what_was_there_already_gets_no_export_and_that_is_said(tmp_path, flairline, save, head):
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    arguments = ("segment", flair, *QUICK, "-o", tmp_path / "out")
    assert "--overwrite" not in flairline(*arguments).err
    assert "Add --overwrite" in flairline(*arguments, "--label-map").err
    assert not list(tmp_path.rglob("lesions*"))
    assert "--overwrite" not in flairline(*arguments, "--label-map", "--overwrite").err
    assert list(tmp_path.rglob("lesions.nii.gz"))
