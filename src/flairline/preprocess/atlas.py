"""Atlases that scans are registered to: a skull-stripped T1 and its brain, on a grid of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flairline.errors import BrainError, FlairlineError, UnknownNameError
from flairline.io import fetch
from flairline.io.files import sha256
from flairline.io.nifti import read_volume
from flairline.preprocess.brain import brain_from_background, without_holes
from flairline.types import Mask, Space, Volume

ATLASES = ("mni", "sri24")


@dataclass(frozen=True)
class Atlas:
    """A skull-stripped T1 atlas. `name` stands in file names (`mask_space-<name>.nii.gz`), so it is alphanumeric.

    `file` is what it was read from: maps of its regions may lie beside it.
    """

    name: str
    t1: Volume
    brain: Mask
    file: Path | None = None

    @property
    def space(self) -> Space:
        """The atlas's grid."""
        return self.t1.space


def load_atlas(atlas: str, cache: Path | None = None) -> Atlas:
    """An atlas by name or file.

    Parameters
    ----------
    atlas
        "mni" (nilearn's MNI152 2009a T1 at 1 mm, from its wheel), "sri24" (fetched once) or a NIfTI file with a
        skull-stripped T1.
    cache
        Folder that a fetched atlas is kept in; None fetches nothing and asks for a file.

    Raises
    ------
    UnknownNameError
        Neither a known atlas nor a file.
    InputError
        The file is no atlas, or it could not be fetched.
    """
    if atlas == "mni":
        return _read(mni_file(), "mni")
    if atlas == "sri24":
        return _read(fetch.fetch_sri24(cache), "sri24")
    if not Path(atlas).exists() and "/" not in atlas and "." not in atlas:
        raise UnknownNameError("atlas", atlas, (*ATLASES, "a file"))
    return _read(Path(atlas), atlas_name(Path(atlas)))


def atlas_name(path: Path) -> str:
    """The name that a file's atlas has in file names: its stem, letters and digits only."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    return re.sub(r"[^0-9A-Za-z]", "", stem) or hashlib.sha256(stem.encode()).hexdigest()[:8]


def published_name(atlas: Atlas) -> str:
    """The name by which an atlas is cited: "sri24" for that file, whatever it is called, else the atlas's own."""
    known = atlas.file is not None and atlas.name != "mni" and sha256(atlas.file) == fetch.SRI24_T1.sha256
    return "sri24" if known else atlas.name


def _read(path: Path, name: str) -> Atlas:
    volume = read_volume(path)
    t1 = Volume(np.nan_to_num(volume.array), replace(volume.space, name="atlas"))
    try:
        brain = brain_from_background(t1, str(path)).array
    except BrainError as error:
        msg = f"Wanted a skull-stripped atlas, but {error}"
        raise BrainError(msg) from error
    return Atlas(name, t1, Mask(without_holes(brain), t1.space), path)


def mni_file() -> Path:
    """The atlas in nilearn's wheel, found without importing nilearn. Raises `FlairlineError` where it is not there."""
    spec = importlib.util.find_spec("nilearn")
    folder = Path(spec.origin).parent / "datasets" / "data" if spec is not None and spec.origin else Path()
    path = folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    if not path.exists():
        msg = "The MNI atlas comes with nilearn, which flairline requires. It is missing. Run: pip install nilearn"
        raise FlairlineError(msg)
    return path
