"""`export` and `fill_t1`: what a notebook writes is what the command line writes."""

import hashlib

import nibabel as nib
import numpy as np
import pytest

import flairline as fl


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.name.startswith(("lesions", "t1_filled")) or path.name.endswith("_roi.nii.gz")
    }


def test_a_notebook_writes_what_the_command_line_writes(tmp_path, flairline, demo):
    scan, _ = demo
    files = {name: tmp_path / f"sub-1_{suffix}.nii.gz" for name, suffix in (("flair", "FLAIR"), ("t1", "T1w"))}
    for name, path in files.items():
        fl.write_volume(path, scan.images[name])
    flags = ("--label-map", "--fill-t1", "--fmriprep-roi", "--no-report")
    given = (files["flair"], "--t1", files["t1"], "--method", "brightest")
    assert flairline("segment", *given, *flags, "-o", tmp_path / "out").code == 0
    found = fl.segment(files["flair"], t1=files["t1"], method="brightest")
    paths = fl.export(found, tmp_path / "mine", fill_t1=True, fmriprep_roi=True)
    assert digests(tmp_path / "mine") == digests(tmp_path / "out" / "sub-1") and len(digests(tmp_path / "mine")) == 7
    assert tmp_path / "mine/fmriprep/sub-1/anat/sub-1_label-lesion_roi.nii.gz" in paths
    filled = nib.load(tmp_path / "mine" / "t1_filled.nii.gz")
    np.testing.assert_allclose(np.asarray(filled.dataobj), fl.fill_t1(found).array)


def test_a_scan_in_memory_without_a_t1_is_refused(demo):
    scan, _ = demo
    found = fl.segment(scan.with_images(t1=None), method="brightest")
    with pytest.raises(fl.InputError, match="Wanted a T1"):
        fl.fill_t1(found)
