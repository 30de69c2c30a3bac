"""A scan that is ready for a method, what a rater drew on it, and the way to the atlas and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, InputError
from flairline.imaging.labels import LabelRule
from flairline.imaging.points import PointMap, carry_mask, carry_volume, identity
from flairline.imaging.resample import resample_mask
from flairline.preprocess import quality, register
from flairline.preprocess.atlas import Atlas
from flairline.preprocess.brain import BrainSource
from flairline.preprocess.steps import within
from flairline.types import BoolArray, Case, Mask, Scan, Space, Volume


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan ready for a method, and how to bring what the method says to the atlas and back.

    Attributes
    ----------
    case
        The files that it was read from.
    scan
        In native space: on the FLAIR's own grid, or on the truth's where the settings asked for that.
    brain_source
        Where its brain came from.
    truth
        What a rater drew, on the rater's own grid; None where there is no truth.
    as_it_lies
        Whether nothing had to be done: no step ran, and there are no `figures`.
    atlas, atlas_to_native, atlas_to_t1
        None where the scan was not registered.
    figures
        Of the quality, by the steps that ran.
    notes
        In words, what was found and decided.
    seconds
        Of each step, 0 where it was kept from an earlier run.
    t1, flair_to_t1
        The T1 on its own grid, and the FLAIR's points in it. The first is None where there is no T1, the second also
        where nothing was done: the two have one grid then.
    """

    case: Case
    scan: Scan
    brain_source: BrainSource
    truth: Volume | None = None
    as_it_lies: bool = False
    atlas: Atlas | None = None
    atlas_to_native: PointMap | None = None
    atlas_to_t1: PointMap | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    t1: Volume | None = None
    flair_to_t1: PointMap | None = None

    @property
    def flags(self) -> list[quality.Flag]:
        """Figures outside their limits, with reasons."""
        return quality.flags(self.figures)

    def labelled(self, *, merge: bool, on_atlas: bool = False) -> LabelledScan:
        """The scan with the rater's labels on its grid, or both on the atlas's; labels are interpolated once, linearly.

        Parameters
        ----------
        merge
            Merge the labels before they are interpolated; else the label values themselves are interpolated.

        Raises
        ------
        InputError
            The truth has labels that its data set does not have, or `on_atlas` without an atlas.
        GridError
            The data set has one grid for all images of a scan, and the truth is on another.
        """
        rule, scan = LabelRule.of(self.case), self.atlas_scan() if on_atlas else self.scan
        if self.truth is None:
            return LabelledScan(scan, None, rule)
        if not self.as_it_lies:  # else it was checked when it was read
            check_truth(self.case, self.truth, self.scan.space)
        labels, truth_space = rule.read(self.truth.array, str(self.case.truth)), self.truth.space
        ignored = rule.to_ignore(labels) if merge and rule.ignored else None
        if merge:
            labels = rule.merged(labels)
        if not truth_space.same_grid(scan.space):
            to_truth = self._to_truth(truth_space, on_atlas)
            labels = carry_volume(Volume(labels.astype(np.float32), truth_space), scan.space, to_truth).array
            ignored = None if ignored is None else carry_mask(Mask(ignored, truth_space), scan.space, to_truth).array
        return LabelledScan(scan, labels, rule, ignored)

    def truth_mask(self) -> Mask | None:
        """What the rater drew as lesion, on the scan's grid, where it fills half of a voxel.

        Raises
        ------
        InputError
            The truth has labels that its data set does not have.
        """
        if self.truth is None:
            return None
        rule = LabelRule.of(self.case)
        labels = rule.merged(rule.read(self.truth.array, str(self.case.truth)))
        drawn = Mask(labels > 0, self.truth.space)
        if drawn.space.same_grid(self.scan.space):
            return Mask(drawn.array, self.scan.space)
        if self.t1 is not None and self.flair_to_t1 is not None and drawn.space.same_grid(self.t1.space):
            return carry_mask(drawn, self.scan.space, self._to_truth(drawn.space, on_atlas=False))
        return resample_mask(drawn, self.scan.space)

    def atlas_scan(self) -> Scan:
        """The scan on the atlas's grid: each image interpolated once, from its own grid, and zero outside the brain."""
        atlas, to_native = self._registered()
        brain = carry_mask(self.scan.brain, atlas.space, to_native)
        t1 = None
        if self.t1 is not None and self.atlas_to_t1 is not None:
            t1 = within(carry_volume(self.t1, atlas.space, self.atlas_to_t1), brain)
        t2 = None if self.scan.t2 is None else within(carry_volume(self.scan.t2, atlas.space, to_native), brain)
        flair = within(carry_volume(self.scan.flair, atlas.space, to_native), brain)
        in_place = None if self.scan.atlas_to_native is None else np.eye(4)
        return Scan.of(self.scan.subject, flair, brain, t1, t2, self.scan.sources, in_place)

    def to_atlas(self, image: Volume) -> Volume:
        """A native image or score on the atlas's grid, by one linear interpolation."""
        atlas, to_native = self._registered()
        return carry_volume(image, atlas.space, to_native)

    def mask_to_atlas(self, mask: Mask, min_partial_volume: float = 0.5) -> Mask:
        """A native mask on the atlas's grid, set where its partial volume reaches `min_partial_volume`."""
        atlas, to_native = self._registered()
        return carry_mask(mask, atlas.space, to_native, min_partial_volume)

    def write_transforms(self, folder: Path) -> list[Path]:
        """Write both directions as ITK files, named as BIDS does: from-A_to-B carries images of A onto B's grid.

        Such a file maps points of B to A (see `imaging.points`). Writes nothing where the scan was not registered.
        """
        if self.atlas is None or self.atlas_to_native is None:
            return []
        name, to_native = self.atlas.name, self.atlas_to_native
        paths = [folder / f"from-native_to-{name}_xfm.tfm", folder / f"from-{name}_to-native_xfm.tfm"]
        register.write_itk(paths[0], to_native)
        register.write_itk(paths[1], to_native.inverse())
        return paths

    def _to_truth(self, truth: Space, on_atlas: bool) -> PointMap:
        """From points of native space, or of the atlas, to those of a rater's grid.

        That grid is any one in the FLAIR's coordinates, or the T1's own.
        """
        to_truth = self._registered()[1] if on_atlas else identity("native", "native")
        if self.t1 is not None and self.flair_to_t1 is not None and truth.same_grid(self.t1.space):
            to_truth = replace(to_truth, target="flair").then(self.flair_to_t1)
        return to_truth

    def _registered(self) -> tuple[Atlas, PointMap]:
        if self.atlas is None or self.atlas_to_native is None:
            msg = f"{self.scan.subject} was not registered to an atlas. Ask for it with --space atlas or --space both."
            raise InputError(msg)
        return self.atlas, self.atlas_to_native


def check_truth(case: Case, truth: Volume, flair: Space) -> None:
    """Refuse a truth whose labels its data set does not have, or on another grid where that has one for all images.

    Raises
    ------
    InputError
        With the labels or grids found.
    """
    rule = LabelRule.of(case)
    rule.read(truth.array, str(case.truth))
    if rule.one_grid and not truth.space.same_grid(flair):
        raise GridError(different_grids(case.truth, truth.space, case.flair, flair))


def without_nan(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """The array with zero for NaN; itself where it has none, which a sum tells faster than looking at each voxel."""
    return array if np.isfinite(array.sum(dtype=np.float64)) else np.nan_to_num(array)


def different_grids(image: object, image_space: Space, other: object, other_space: Space) -> str:
    """The message for two images whose grids do not match, with both shapes and affines."""
    return (
        f"{image} and {other} are not on one grid: {image_space.describe()} against {other_space.describe()}."
        " Resample one onto the other."
    )
