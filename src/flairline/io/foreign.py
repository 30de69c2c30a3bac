"""What a file is that is no NIfTI, by its first bytes, and what to do with it."""

from __future__ import annotations

from typing import NamedTuple


class _Kind(NamedTuple):
    """A kind of file: what stands where in it, what it is, and what to do."""

    at: int
    start: bytes
    what: str
    advice: str


_FETCH = "Fetch it (git lfs pull)."
_UNPACK = "Unpack it."
_CONVERT = "Convert it to .nii.gz (mri_convert, or any viewer)."
KINDS = (
    _Kind(128, b"DICM", "a DICOM file", "Give the folder that its series lies in."),
    _Kind(0, b"version https://git-lfs", "a pointer of git LFS without its content", _FETCH),
    _Kind(257, b"ustar", "a tar archive", _UNPACK),
    _Kind(0, b"PK\3\4", "a zip archive", _UNPACK),
    _Kind(0, b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    _Kind(0, b"BZh", "compressed with bzip2", "Unpack it, or compress it with gzip."),
    _Kind(0, b"\xfd7zXZ", "compressed with xz", "Unpack it, or compress it with gzip."),
    _Kind(0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it, or compress it with gzip."),
    _Kind(0, b"\x1f\x8b", "compressed twice", "Unpack it once (gunzip)."),
    _Kind(0, b"\0\0\0\1", "an image of FreeSurfer (.mgz, .mgh)", "Convert it to .nii.gz (mri_convert)."),
    _Kind(0, b"NRRD", "an NRRD image", _CONVERT),
    _Kind(0, b"ObjectType", "a MetaImage", _CONVERT),
    _Kind(0, b"NDims", "a MetaImage", _CONVERT),
    _Kind(0, b"CDF", "a MINC image", "Convert it to .nii.gz (mnc2nii)."),
    _Kind(0, b"\x89HDF", "a MINC image or other HDF5", "Convert it to .nii.gz (mnc2nii)."),
    _Kind(0, b"<!doctype html", "a web page", "Its download went wrong: fetch it again."),
    _Kind(0, b"<html", "a web page", "Its download went wrong: fetch it again."),
)
"""Texts of web pages are compared in small letters."""


def what_instead(content: bytes, suffix: str) -> tuple[str, str]:
    """What bytes are that are no NIfTI, and what to do; empty texts where that is not known.

    `suffix` is the ending of the file's name.
    """
    for kind in KINDS:
        found = content[kind.at : kind.at + len(kind.start)]
        if kind.start in (found, found.lower()):
            return kind.what, kind.advice
    if suffix.lower() == ".img":
        return "the voxels of a .hdr/.img pair", "Convert the pair to one .nii.gz file."
    if content[:512] and not any(content):
        return "zeros and nothing else", "Its copy was broken off: copy it again."
    return "", ""
