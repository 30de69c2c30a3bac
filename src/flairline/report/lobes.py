"""Which lobe lies where in SRI24, where its map is at hand. The region of a lesion is `imaging.regions`'s to say.

LPBA40's numbers are grouped into lobes as in Shattuck et al. 2008 (Construction of a 3D probabilistic atlas of human
cortical structures, NeuroImage 39); odd numbers are left, even ones right.
"""

from __future__ import annotations

import numpy as np

from flairline.io.nifti import read_volume
from flairline.preprocess.atlas import Atlas
from flairline.report.pages import LabelMap

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
