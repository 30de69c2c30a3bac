"""What is no NIfTI is called what it is, with what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import ImageError
from flairline.io.nifti import read_volume

RAW = nib.Nifti1Image(np.ones((5, 6, 7), np.float32), np.eye(4)).to_bytes()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("flair.nii", RAW)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        entry = tarfile.TarInfo("flair.nii")
        entry.size = len(RAW)
        file.addfile(entry, io.BytesIO(RAW))
    return buffer.getvalue()


FREESURFER = nib.MGHImage(np.ones((5, 6, 7), np.float32), np.eye(4)).to_bytes()
CASES = {
    "a.dcm": (b"\0" * 128 + b"DICM" + b"\2\0\0\0" * 200, "a DICOM file. Give the folder"),
    "lfs.nii.gz": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n" + b" " * 300, "git lfs pull"),
    "a.zip": (zipped(), "a zip archive. Unpack it."),
    "tar.nii.gz": (tarred(), "a tar archive. Unpack it."),
    "a.nii.bz2": (bz2.compress(RAW), "compressed with bzip2"),
    "a.nii.xz": (lzma.compress(RAW), "compressed with xz"),
    "twice.nii.gz": (gzip.compress(gzip.compress(RAW)), "compressed twice"),
    "a.mgh": (FREESURFER, r"of FreeSurfer .*\(mri_convert\)"),
    "a.mgz": (gzip.compress(FREESURFER), r"of FreeSurfer .*\(mri_convert\)"),
    "a.nrrd": (b"NRRD0004\ntype: float\n\n" + b"\1" * 400, "an NRRD image"),
    "a.mha": (b"ObjectType = Image\nNDims = 3\n" + b"\1" * 400, "a MetaImage"),
    "page.nii.gz": (b"<!DOCTYPE html><html><body>Sign in</body></html>" * 20, "a web page"),
    "a.img": (b"\1\2\3" * 400, r"the voxels of a \.hdr/\.img pair"),
    "zeros.nii": (bytes(4000), "zeros and nothing else"),
    "unknown": (b"hello" * 100, r"is none\. Convert it"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_nifti_is_called_what_it_is(name, tmp_path):
    content, words = CASES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=words) as refused:
        read_volume(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_the_header_of_an_analyze_image_is_called_so(tmp_path):
    nib.save(nib.AnalyzeImage(np.ones((5, 6, 7), np.float32), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(ImageError, match="header of an Analyze image, which says no side"):
        read_volume(tmp_path / "a.hdr")
