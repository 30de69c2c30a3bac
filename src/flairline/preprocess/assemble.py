"""From a case's files to a `Scan` and its truth, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, InputError
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess.brain import brain_from_background, check_brain
from flairline.preprocess.resample import resample_mask, resample_volume
from flairline.types import Case, Mask, Scan, Space, Volume


@dataclass(frozen=True)
class LabelledScan:
    """A scan with the values a rater gave each voxel, zero where nothing was drawn (None: there is no truth)."""

    scan: Scan
    labels: NDArray[np.float32] | None = None


def assemble(case: Case, keep_flair_grid: bool = False) -> LabelledScan:
    """Read a case. A truth on another grid than the FLAIR decides the grid; the FLAIR is resampled onto it linearly.

    With `keep_flair_grid` the FLAIR's grid stays and truth and brain are resampled onto it by their partial volumes.

    The brain is the given file, else what differs from the background. T1 and T2 must lie on the FLAIR's grid. What a
    scan does not cover of the deciding grid is left out of the brain.

    Raises
    ------
    InputError
        A file cannot be read, grids do not match, or there is no brain.
    """
    if case.flair is None:
        msg = f"The case {case.subject!r} has no FLAIR. Fill the column flair."
        raise InputError(msg)
    flair = read_volume(case.flair)
    truth = read_volume(case.truth) if case.truth else None
    images = {name: _same_grid(flair, path) for name, path in (("t1", case.t1), ("t2", case.t2)) if path}
    given_brain = read_mask(case.brain) if case.brain else None
    space = flair.space if truth is None or truth.space.same_grid(flair.space) else truth.space
    brain = _brain(case, flair, given_brain, space)
    labels = None if truth is None else np.nan_to_num(truth.array)
    if space is not flair.space and keep_flair_grid:
        assert truth is not None
        labels = resample_mask(Mask(np.nan_to_num(truth.array) > 0, space), flair.space).array.astype(np.float32)
        brain = brain if brain.space is flair.space else resample_mask(brain, flair.space)
    elif space is not flair.space:
        flair = resample_volume(flair, space)
        images = {name: resample_volume(image, space) for name, image in images.items()}
    check_brain(flair, brain, str(case.flair))
    sources = {name: str(path) for name in ("flair", "t1", "t2", "brain", "truth") if (path := getattr(case, name))}
    others = {name: _outside_cleared(image, brain) for name, image in images.items()}
    scan = Scan(case.subject, _outside_cleared(flair, brain), brain, others.get("t1"), others.get("t2"), sources)
    return LabelledScan(scan, labels)


def _brain(case: Case, flair: Volume, given: Mask | None, space: Space) -> Mask:
    """The brain on `space`, which is the FLAIR's grid or the truth's."""
    if given is None:
        brain = brain_from_background(flair, str(case.flair))
    elif given.space.same_grid(space) or given.space.same_grid(flair.space):
        brain = Mask(given.array, space if given.space.same_grid(space) else flair.space)
    else:
        raise GridError(different_grids(case.brain, given.space, case.flair, flair.space))
    return brain if brain.space is space else resample_mask(brain, space)


def _same_grid(flair: Volume, path: Path) -> Volume:
    image = read_volume(path)
    if not image.space.same_grid(flair.space):
        raise GridError(different_grids(path, image.space, "the FLAIR", flair.space))
    return Volume(image.array, flair.space)


def different_grids(one: object, one_space: Space, other: object, other_space: Space) -> str:
    """The message for two images whose grids do not match, with both shapes and affines."""
    return (
        f"{one} and {other} are not on one grid: {one_space.describe()} against {other_space.describe()}."
        " Resample one onto the other."
    )


def _outside_cleared(image: Volume, brain: Mask) -> Volume:
    """NaN outside the brain would spread through filters; zero does not."""
    return Volume(np.where(np.isnan(image.array) & ~brain.array, np.float32(0), image.array), image.space)
