"""The real scans laid out as each data set is distributed, and small synthetic ones of the same layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


def link(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)
    return target


def like(path: Path, array: np.ndarray, target: Path) -> Path:
    """An array on the grid of another file, in that file's own axes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, nib.load(path).affine), target)
    return target


def lay_out_brats(data: Path, root: Path, n: int = 4) -> Path:
    """BraTS as since 2017: integers, zero outside the brain, label 3 merged into 1; axes as given (LPS)."""
    folder = root / "MICCAI_BraTS2020_TrainingData"
    for number, source in enumerate(sorted((data / "brats2015").iterdir())[:n], 1):
        name = f"BraTS20_Training_{number:03d}"
        flair, brain, truth = (
            np.asanyarray(nib.load(source / f"{part}.nii.gz").dataobj) for part in ("flair", "brain", "truth")
        )
        inside = brain > 0.5
        low, high = flair[inside].min(), np.percentile(flair[inside], 99.9)
        whole = np.where(inside, np.round(1 + np.clip((flair - low) / (high - low), 0, None) * 10000), 0)
        labels = np.where(truth == 3, 1, truth)
        like(source / "flair.nii.gz", whole.astype(np.int16), folder / name / f"{name}_flair.nii.gz")
        like(source / "truth.nii.gz", labels.astype(np.uint8), folder / name / f"{name}_seg.nii.gz")
    return folder


def lay_out_mslub(data: Path, root: Path) -> Path:
    folder = root / "open_ms_data" / "cross_sectional" / "coregistered_resampled"
    for name in ("patient07", "patient19"):
        source = data / "mslub" / name
        for ours, theirs in (("flair", "FLAIR"), ("t1", "T1W"), ("t2", "T2W"), ("truth", "consensus_gt")):
            if (source / f"{ours}.nii.gz").exists():
                link(source / f"{ours}.nii.gz", folder / name / f"{theirs}.nii.gz")
        flair = np.asanyarray(nib.load(source / "flair.nii.gz").dataobj)
        like(source / "flair.nii.gz", (flair != 0).astype(np.uint8), folder / name / "brainmask.nii.gz")
    return folder


def lay_out_msseg(data: Path, root: Path) -> Path:
    """FLAIR brought onto the masks' grid and stripped, as the challenge's preprocessed images are."""
    from flairline.imaging.resample import resample_volume
    from flairline.io.nifti import read_mask, read_volume, write_volume
    from flairline.types import Volume

    for name in ("training01", "training02", "training03"):
        source = data / "msseg2015" / name
        brain = read_mask(source / "brain.nii.gz")
        flair = resample_volume(read_volume(source / "flair.nii.gz"), brain.space)
        stripped = Volume(np.where(brain.array, np.maximum(flair.array, 1), 0).astype(np.float32), brain.space)
        folder = root / "training" / name
        write_volume(folder / "preprocessed" / f"{name}_01_flair_pp.nii", stripped)
        for number, mask in ((1, "truth"), (2, "truth_rater2")):
            (folder / "masks").mkdir(exist_ok=True)
            image = nib.load(source / f"{mask}.nii.gz")
            labels = np.asanyarray(image.dataobj).astype(np.uint8)
            nib.save(nib.Nifti1Image(labels, image.affine), folder / "masks" / f"{name}_01_mask{number}.nii")
    return root / "training"


def lay_out_wmh(data: Path, root: Path) -> Path:
    """Raw pairs with skull and a model's mask: it goes through the loader, nobody may report it as truth."""
    for place, source in (("Utrecht/0", "Subj1"), ("Amsterdam/GE3T/100", "Subj10"), ("Singapore/50", "Subj14")):
        folder = data / "nichart" / source
        for name in ("FLAIR", "T1"):
            link(folder / f"{name.lower()}.nii.gz", root / "training" / place / "orig" / f"{name}.nii.gz")
        link(folder / "wml_model.nii.gz", root / "training" / place / "wmh.nii.gz")
    return root / "training"


@pytest.fixture
def small() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Arrays of a stripped head of 7x8x9 voxels and its truth."""

    def make(seed: int = 0, labels: tuple[int, ...] = (1,)) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        flair = np.zeros((7, 8, 9), np.int16)
        flair[1:6, 1:7, 1:8] = rng.integers(100, 200, (5, 6, 7))
        truth = np.zeros(flair.shape, np.uint8)
        for place, label in enumerate(labels):
            truth[2 + place, 2:4, 3:5] = label
        return flair, truth

    return make


@pytest.fixture
def put() -> Callable[..., Path]:
    """Writes an array to a file of any name, 1 mm, RAS."""

    def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
        return path

    return write
