"""What lies where in an atlas: tissues of the MNI atlas, tissues and lobes of SRI24 where its files are at hand.

LPBA40's numbers are grouped into lobes as in Shattuck et al. 2008 (Construction of a 3D probabilistic atlas of human
cortical structures, NeuroImage 39); odd numbers are left, even ones right.
"""

from __future__ import annotations

import numpy as np

from flairline.io.nifti import read_volume
from flairline.preprocess.atlas import Atlas
from flairline.report.pages import LabelMap

TISSUES = {1: "CSF", 2: "grey matter", 3: "white matter"}
LOBES: dict[str, tuple[int, ...]] = {
    "frontal": tuple(range(21, 35)),
    "parietal": tuple(range(41, 51)),
    "occipital": (*range(61, 69), 89, 90),
    "temporal": (*range(81, 89), 91, 92),
    "insula": (101, 102),
    "cingulate": (121, 122),
    "caudate": (161, 162),
    "putamen": (163, 164),
    "hippocampus": (165, 166),
}
WITHOUT_SIDE = {181: "cerebellum", 182: "brainstem"}
MIN_TISSUE = 0.5
"""A voxel of the MNI atlas is the tissue that fills at least this share of it."""


def tissues_of(atlas: Atlas) -> LabelMap | None:
    """Tissues on the atlas's grid; None where nothing is known of them."""
    if atlas.file is None:
        return None
    beside = atlas.file.parent / "tissues.nii.gz"
    if atlas.name == "mni":
        stem = atlas.file.name.replace("_t1_", "_{}_")
        paths = [atlas.file.with_name(stem.format(name)) for name in ("gm", "wm")]
        if not all(path.exists() for path in paths):
            return None
        grey, white = (read_volume(path) for path in paths)
        # A tissue that fills a voxel has the file's highest value there, which is 255 and not 1.
        is_grey, is_white = (part.array >= MIN_TISSUE * part.array.max() for part in (grey, white))
        array = np.where(is_grey, 2, np.where(is_white, 3, 0)).astype(np.uint8)
        return LabelMap(array, grey.space, TISSUES)
    if beside.exists():
        labels = read_volume(beside)
        return LabelMap(np.rint(labels.array).astype(np.uint8), labels.space, TISSUES)
    return None


def lobes_of(atlas: Atlas) -> LabelMap | None:
    """Lobes on the atlas's grid, from lpba40.nii.gz beside the atlas's file; None where it is not there."""
    beside = atlas.file.parent / "lpba40.nii.gz" if atlas.file is not None else None
    if beside is None or not beside.exists():
        return None
    labels = read_volume(beside)
    return LabelMap(np.rint(labels.array).astype(np.uint8), labels.space, lobe_names())


def lobe_names() -> dict[int, str]:
    """LPBA40's number -> lobe and side."""
    sided = {n: f"{lobe}, {'left' if n % 2 else 'right'}" for lobe, numbers in LOBES.items() for n in numbers}
    return {**sided, **WITHOUT_SIDE}
