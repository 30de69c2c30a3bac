"""From a case's files to a `Scan` and its truth, on one grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, InputError
from flairline.imaging.labels import LabelRule
from flairline.imaging.resample import covered_by, resample_mask, resample_volume
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess.brain import brain_from_background, check_brain, without_background_nan
from flairline.types import BoolArray, Case, Mask, Scan, Space, Volume


@dataclass(frozen=True)
class LabelledScan:
    """A scan with the values a rater gave each voxel, zero where nothing was drawn (None: there is no truth).

    `rule` says what the values mean, `ignored` where they are to be ignored (None: nowhere).
    """

    scan: Scan
    labels: NDArray[np.float32] | None = None
    rule: LabelRule = field(default_factory=LabelRule)
    ignored: BoolArray | None = None

    def with_merged_labels(self) -> LabelledScan:
        """The same scan with 1 for every label that is lesion, and the voxels to ignore marked."""
        if self.labels is None:
            return self
        ignored = self.rule.to_ignore(self.labels) if self.rule.ignored else None
        return replace(self, labels=self.rule.merged(self.labels), ignored=ignored)


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
    decides = truth is not None and not keep_flair_grid and not truth.space.same_grid(flair.space)
    space = truth.space if truth is not None and decides else flair.space
    rule = LabelRule.of(case)
    if truth is not None:
        truth = Volume(rule.read(truth.array, str(case.truth)), truth.space)
        if rule.one_grid and not truth.space.same_grid(flair.space):
            raise GridError(different_grids(case.truth, truth.space, case.flair, flair.space))
    brain = _brain(case, flair, given_brain, truth, space)
    if space is not flair.space:
        flair = resample_volume(Volume(without_background_nan(flair.array), flair.space), space)
        images = {name: resample_volume(image, space) for name, image in images.items()}
    labels = None if truth is None else _labels(truth, space)
    check_brain(flair, brain, str(case.flair))
    sources = {name: str(path) for name in ("flair", "t1", "t2", "brain", "truth") if (path := getattr(case, name))}
    others = {name: _outside_cleared(image, brain) for name, image in images.items()}
    scan = Scan.of(case.subject, _outside_cleared(flair, brain), brain, others.get("t1"), others.get("t2"), sources)
    return LabelledScan(scan, labels, rule)


def _brain(case: Case, flair: Volume, given: Mask | None, truth: Volume | None, space: Space) -> Mask:
    """The brain on `space`, which is the FLAIR's grid or the truth's, as far as the FLAIR reaches."""
    if given is None:
        brain = brain_from_background(flair, str(case.flair))
    elif given.space.same_grid(flair.space):
        brain = Mask(given.array, flair.space)
    elif truth is not None and given.space.same_grid(truth.space):
        brain = Mask(given.array, truth.space)
    else:
        raise GridError(different_grids(case.brain, given.space, case.flair, flair.space))
    if not brain.space.same_grid(space):
        brain = resample_mask(brain, space)
    if space.same_grid(flair.space):
        return Mask(brain.array, space)
    return Mask(brain.array & covered_by(flair.space, space), space)


def without_nan(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """The array with zero for NaN; itself where it has none, which a sum tells faster than looking at each voxel."""
    return array if np.isfinite(array.sum(dtype=np.float64)) else np.nan_to_num(array)


def _labels(truth: Volume, space: Space) -> NDArray[np.float32]:
    """The rater's values on `space`; on a grid that is not their own, 1 where at least half of a voxel is lesion."""
    labels = without_nan(truth.array)
    if truth.space.same_grid(space):
        return labels
    return resample_mask(Mask(labels > 0, truth.space), space).array.astype(np.float32)


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
