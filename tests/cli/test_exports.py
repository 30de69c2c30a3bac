"""`flairline segment --label-map --fill-t1 --fmriprep-roi`: files in four orientations, read by nibabel alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from flairline.io.nifti import write_mask, write_volume
from flairline.synthesis.phantom import phantom
from flairline.types import Space

from ..conftest import ORIENTATIONS, rotation

FILES = Path(__file__).parents[2] / "docs" / "reference" / "files.md"
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


def test_a_t1_whose_head_lay_elsewhere_gets_the_mask_where_its_head_is(tmp_path, flairline):
    """The same head in both, but the T1's header turns and shifts it: its mask has the same voxels all the same."""
    scan, _, _ = phantom(5, 3.0, ("tumour", *("periventricular",) * 3), with_skull=True)
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = rotation(5, -4), (4.0, -6.0, 3.0)
    space = Space(scan.space.shape, moved @ scan.space.vox_to_ras)
    write_volume(tmp_path / "flair.nii.gz", scan.flair)
    write_mask(tmp_path / "brain.nii.gz", scan.brain)
    t1 = nib.Nifti1Image(scan.t1.array, space.vox_to_ras).as_reoriented(np.array([[0, -1], [1, -1], [2, 1]]))
    nib.save(t1, tmp_path / "sub-9_T1w.nii.gz")
    words = ("--brain", tmp_path / "brain.nii.gz", "--t1", tmp_path / "sub-9_T1w.nii.gz", "--method", "brightest")
    flags = ("--fill-t1", "--fmriprep-roi", "--no-report", "--no-regions", "--no-cache")
    ran = flairline("segment", tmp_path / "flair.nii.gz", *words, *flags, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    mask = nib.load(tmp_path / "out/flair/mask.nii.gz").get_fdata() > 0
    roi = nib.load(tmp_path / "out/flair/fmriprep/sub-9/anat/sub-9_label-lesion_roi.nii.gz")
    np.testing.assert_allclose(roi.affine, t1.affine, atol=1e-4)
    on_t1 = np.asarray(roi.dataobj)[::-1, ::-1] > 0  # the file's axes -> those of the phantom
    assert 2 * (mask & on_t1).sum() / (mask.sum() + on_t1.sum()) > 0.8
    filled = nib.load(tmp_path / "out/flair/t1_filled.nii.gz").get_fdata()[::-1, ::-1]
    np.testing.assert_array_equal(filled[~on_t1], scan.t1.array[~on_t1])
    assert (filled != scan.t1.array)[on_t1].mean() > 0.99


def documented() -> set[str]:
    """The files of a scan's folder, as the documents name them."""
    table = FILES.read_text(encoding="utf-8").split("## The folder of one scan")[1].split("\n## ")[0]
    return {
        name for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }


def alike(path: Path) -> None:
    """nibabel and ITK see the same values at the same places."""
    image, itk = nib.load(path), SimpleITK.ReadImage(str(path))
    values = np.asarray(image.dataobj)
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(itk).T, values, rtol=1e-6, err_msg=str(path))
    for voxel in ((0, 0, 0), tuple(side - 1 for side in values.shape)):
        lps = np.array(itk.TransformIndexToPhysicalPoint(tuple(map(int, voxel))))
        np.testing.assert_allclose(lps * [-1, -1, 1], nib.affines.apply_affine(image.affine, voxel), atol=1e-3)


def test_every_file_of_a_scans_folder_is_in_the_documents_and_opened_by_others(tmp_path, flairline):
    """All that can be asked for at once, of a head that is registered; what needs DICOM is tested with DICOM."""
    scan, _, _ = phantom(5, 3.0, ("tumour", *("periventricular",) * 3), with_skull=True)
    flair, t1, brain = (tmp_path / name for name in ("sub-9_FLAIR.nii.gz", "sub-9_T1w.nii.gz", "brain.nii.gz"))
    write_volume(flair, scan.flair)
    write_volume(t1, scan.t1)
    write_mask(brain, scan.brain)
    flags = ("--label-map", "--fill-t1", "--fmriprep-roi", "--space", "both", "--method", "brightest", "--no-cache")
    ran = flairline("segment", flair, "--t1", t1, "--brain", brain, *flags, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    folder = tmp_path / "out" / "sub-9"
    for path in folder.rglob("*.nii.gz"):
        alike(path)
    for path in folder.glob("*.tfm"):
        SimpleITK.ReadTransform(str(path))
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    roi = "fmriprep/sub-9/anat/sub-9_label-lesion_roi.nii.gz"
    named = {name if not name.startswith("fmriprep/") else roi for name in documented()}
    assert named - there == {"mask.dcm", "report.dcm", "mask_as_segmented.nii.gz"} and there <= named
    ran = flairline("report", folder, "--corrected", folder / "lesions.nii.gz")
    assert ran.code == 0, ran.err
    assert (folder / "mask_as_segmented.nii.gz").exists() and not (folder / roi).exists()
