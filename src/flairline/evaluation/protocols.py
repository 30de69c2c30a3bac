"""How scores are judged. A protocol is data: everything that published numbers depend on is a field of it.

`experiment-1`, `experiment-2` and `native` follow the paper's published code (Meissen et al. 2021, sections 3.2 to 4;
where text and code differ, the code): all voxels of the slices, background included; 100 thresholds from the lowest to
the highest score of the cohort, `score > threshold`; the best one is chosen before the component filter and the Dice
reported after it. `sound` is what one should do: the scan's own grid, brain voxels, every threshold, the filter inside
the search. `baur` is how the methods that the paper compares with were judged (Baur et al. 2021, their released code):
positive residual, eroded brain, hyper-intensity prior, median of 5 voxels, components of at most 7 filled voxels
removed; for any method's scores.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, UnknownNameError
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.imaging.components import ComponentRule, remove_small_components
from flairline.imaging.resample import index_resize, index_resize_space, spline_resize
from flairline.postprocess.maps import MapRule
from flairline.preprocess.prepared import LabelledScan
from flairline.types import BoolArray, Mask, Scan, Space, Volume

SRI24_SHAPE, SRI24_SPACING_MM = (240, 240, 155), 1.0

Resize = Literal["index", "linear", "spline"]


@dataclass(frozen=True)
class Protocol:
    """What happens between a scan's files and a number.

    Attributes
    ----------
    in_plane
        Side in voxels that x and y are resized to by picking voxel floor(i * N / side), images and truth alike;
        None keeps the scan's own.
    slices
        First (inclusive) and last (exclusive) axial slice that are judged; None judges all. The cut comes after the
        method has seen the whole volume.
    needs_sri24
        Whether the scan must lie on the SRI24 grid (240x240x155 at 1 mm; the origin is not compared).
    truth_above
        A voxel is lesion if its (interpolated) label is greater than this.
    brain_only
        Judge the brain's voxels, or all voxels of the slices.
    n_thresholds
        Number of thresholds from the cohort's lowest to its highest score, chosen before the filter and used as
        `score > threshold`; None tries every threshold, `score >= threshold`, with the filter inside the search.
    components
        Which components a mask keeps.
    min_component_ml
        The smallest volume of a component instead of `components`' number of voxels; None: voxels decide.
    chosen_before_filter
        Whether the oracle threshold is the best one before the component filter or after it; None: before it where
        there are `n_thresholds`, else after it.
    per_subject_first
        Whether tables name the means over scans before the figures of the cohort's pooled voxels, in which a few scans
        with large lesions weigh more than all others.
    merge_labels
        Whether labels become lesion, ignored or neither before anything is interpolated. Without it the label values
        themselves are interpolated, so that BraTS's 4 passes `truth_above` 0.9 at 22.5 % of a voxel and its 2 at 45 %,
        and WMH's 2 ("other pathology") counts as lesion, as published.
    resize
        How `in_plane` is reached: by index (the paper's code), by linear interpolation, or by cubic splines for the
        images and linearly for labels (after Baur et al.).
    legacy_integer
        Truncate the FLAIR to whole numbers before the method, as the published code does. A scan in [0, 1] collapses.
    clip_quantile
        Clip the FLAIR at this quantile of the whole stripped volume and divide by it (Baur et al.); None: neither.
    strip_on
        The image whose brain is extracted where a scan still has its skull: the paper's text says FLAIR, its code T1.
    maps
        What is done to the score before the thresholds.
    brain_slices
        Judge so many axial slices of each scan only, evenly spaced over its brain, because a method takes minutes a
        volume; None: all. Such a method sees no other slice (`few_slices`), any other the whole scan. `maps` filters
        within slices then, as there is nothing between them.
    """

    name: str
    in_plane: int | None = None
    slices: tuple[int, int] | None = None
    needs_sri24: bool = False
    strip_on: Literal["t1", "flair"] = "t1"
    truth_above: float = 0.9
    brain_only: bool = False
    n_thresholds: int | None = 100
    components: ComponentRule = field(default_factory=lambda: ComponentRule(20, 26, legacy_filled_area=True))
    min_component_ml: float | None = None
    chosen_before_filter: bool | None = None
    merge_labels: bool = False
    resize: Resize = "index"
    legacy_integer: bool = False
    clip_quantile: float | None = None
    maps: MapRule = field(default_factory=MapRule)
    per_subject_first: bool = False
    brain_slices: int | None = None

    def prepare(self, labelled: LabelledScan) -> LabelledScan:
        """The scan as the method gets it: in-plane size changed, slices not cut yet.

        Raises
        ------
        GridError
            The protocol needs the SRI24 grid and the scan is on another.
        """
        self._check_grid(labelled.scan)
        if self.legacy_integer or self.clip_quantile is not None:
            labelled = replace(labelled, scan=self._with_intensities(labelled.scan))
        if self.in_plane is None:
            return labelled
        scan = labelled.scan
        space = index_resize_space(scan.space, self.in_plane)
        image_order, label_order = {"index": (None, None), "linear": (1, 1), "spline": (3, 1)}[self.resize]
        images = {role: Volume(self._resized(image.array, image_order), space) for role, image in scan.images.items()}
        brain, ignored, labels = scan.brain.array, labelled.ignored, labelled.labels
        return replace(
            labelled,
            scan=replace(scan, images=images, brain=Mask(self._resized(brain, label_order) >= 0.5, space)),
            labels=None if labels is None else self._resized(labels, label_order),
            ignored=None if ignored is None else self._resized(ignored, label_order) >= 0.5,
        )

    def describe(self) -> dict[str, Any]:
        """Its fields as plain values; `brain_slices` only where it is set, so that manifests of old runs compare."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if name != "brain_slices" or value is not None}

    def few_slices(self, scan: Scan) -> Scan:
        """What a method that takes minutes a volume is given: no image and no brain but in `brain_slices`."""
        if self.brain_slices is None:
            return scan
        kept = self._kept(scan)
        images = {
            role: Volume(np.where(kept, image.array, np.float32(0)), image.space) for role, image in scan.images.items()
        }
        return replace(scan, images=images, brain=Mask(scan.brain.array & kept, scan.brain.space))

    def truth(self, labelled: LabelledScan) -> BoolArray:
        """Where the lesions are (x, y, z) in what is judged; nowhere if the case has no truth."""
        if labelled.labels is None:
            return np.zeros(labelled.scan.space.shape, np.bool_)
        return self.in_few_slices(labelled.labels > self.truth_above, labelled.scan)

    def in_few_slices(self, mask: BoolArray, scan: Scan) -> BoolArray:
        """A mask (x, y, z) of a scan, empty outside `brain_slices`."""
        return mask if self.brain_slices is None else mask & self._kept(scan)

    def cut(self, array: NDArray) -> NDArray:
        """The judged slices of an array (x, y, z)."""
        return array if self.slices is None else array[:, :, self.slices[0] : self.slices[1]]

    def judged(self, score: NDArray[np.float32], labelled: LabelledScan) -> JudgedScan:
        """What is judged of one scan."""
        truth, brain = self.cut(self.truth(labelled)), self.cut(labelled.scan.brain.array)
        in_plane = self.brain_slices is not None
        score = self.maps.apply(self.cut(score), self.cut(labelled.scan.flair.array), brain, in_plane=in_plane)
        if self.brain_slices is not None:
            kept = self.cut(np.broadcast_to(self._kept(labelled.scan), labelled.scan.space.shape))
            score, brain = np.where(kept, score, np.float32(0)), brain & kept
        if labelled.ignored is not None:
            # Outside the brain nothing is judged, or (with all voxels) a score of zero there is right.
            counted = ~self.cut(labelled.ignored)
            score, truth, brain = np.where(counted, score, np.float32(0)), truth & counted, brain & counted
        return JudgedScan.from_arrays(score, truth, brain, self.brain_only)

    def components_at(self, spacing_mm: tuple[float, float, float]) -> ComponentRule:
        """Which components a mask with voxels of this size keeps."""
        if self.min_component_ml is None:
            return self.components
        voxel_ml = float(np.prod(spacing_mm)) / 1000.0
        least = math.ceil(self.min_component_ml / voxel_ml - 1e-9)
        return replace(self.components, min_voxels=least, legacy_filled_area=False)

    def thresholds(self, counts: Counts) -> NDArray[np.float64]:
        """The thresholds to try on a cohort with these counts, where the protocol has `n_thresholds` of its own."""
        if self.n_thresholds is None:
            msg = f"the protocol {self.name} tries every threshold"
            raise ValueError(msg)
        return np.linspace(counts.minimum, counts.maximum, self.n_thresholds)

    def mask_at(
        self,
        score: NDArray[np.float32],
        brain: BoolArray,
        threshold: float,
        spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> BoolArray:
        """The mask (x, y, z) that the protocol makes of a score at a threshold."""
        limit = np.float64(threshold)  # compares in float64, as the counts do; a Python float would be rounded
        marked = score >= limit if self.n_thresholds is None else score > limit
        rule = self.components_at(spacing_mm)
        return remove_small_components(marked & brain if self.brain_only else marked, rule)

    def _kept(self, scan: Scan) -> NDArray[np.bool_]:
        assert self.brain_slices is not None
        return evenly_spaced_slices(scan.brain.array, self.brain_slices)

    def _resized(self, array: NDArray, order: int | None) -> NDArray:
        assert self.in_plane is not None
        return index_resize(array, self.in_plane) if order is None else spline_resize(array, self.in_plane, order)

    def _with_intensities(self, scan: Scan) -> Scan:
        array = np.where(scan.brain.array, scan.flair.array, np.float32(0))
        if self.clip_quantile is not None:
            highest = np.quantile(array, self.clip_quantile)
            array = np.minimum(array, highest) / np.float32(highest if highest > 0 else 1.0)
        if self.legacy_integer:
            array = np.trunc(array)
        return scan.with_images(flair=Volume(array.astype(np.float32), scan.space))

    def _check_grid(self, scan: Scan) -> None:
        if self.needs_sri24 and not on_sri24_grid(scan.space):
            spacing = " x ".join(f"{side:.3g}" for side in scan.spacing_mm)
            msg = (
                f"The protocol {self.name} wants the SRI24 grid (240x240x155 voxels of 1 mm), but {scan.subject} has"
                f" {'x'.join(map(str, scan.space.shape))} voxels of {spacing} mm. Give --atlas sri24 (or SRI24's"
                " T1 as a file), or use --protocol native or sound."
            )
            raise GridError(msg)


def evenly_spaced_slices(brain: BoolArray, n_slices: int) -> NDArray[np.bool_]:
    """Which axial slices (z,) are kept of `n_slices` evenly spaced ones over a brain (x, y, z); no end slice is."""
    kept, there = np.zeros(brain.shape[2], np.bool_), np.flatnonzero(brain.any(axis=(0, 1)))
    if there.size:
        kept[there[np.linspace(0, there.size - 1, n_slices + 2).round().astype(int)[1:-1]]] = True
    return kept


def on_sri24_grid(space: Space) -> bool:
    """Whether a grid has SRI24's shape and voxels; the origin is not compared (BraTS files differ in it)."""
    return space.shape == SRI24_SHAPE and bool(np.allclose(space.spacing_mm, SRI24_SPACING_MM, atol=1e-3))


_PROTOCOLS = (
    Protocol("experiment-1", in_plane=128, slices=(15, 125), needs_sri24=True),
    Protocol("experiment-2", in_plane=224, slices=(84, 88), needs_sri24=True),
    Protocol("native"),
    Protocol(
        "sound",
        brain_only=True,
        n_thresholds=None,
        components=ComponentRule(20, 26),
        merge_labels=True,
        per_subject_first=True,
    ),
    Protocol(
        "baur",
        in_plane=128,
        slices=(15, 125),
        needs_sri24=True,
        n_thresholds=None,
        chosen_before_filter=True,
        components=ComponentRule(7, 26, legacy_filled_area=True),
        resize="spline",
        clip_quantile=0.998,
        maps=MapRule(positive_only=True, erode_brain_voxels=12, prior_quantile=0.9, median_voxels=5),
    ),
)


def names() -> list[str]:
    """Names of the protocols."""
    return [protocol.name for protocol in _PROTOCOLS]


def load(name: str) -> Protocol:
    """The protocol of that name. Raises `UnknownNameError`."""
    for protocol in _PROTOCOLS:
        if protocol.name == name:
            return protocol
    raise UnknownNameError("protocol", name, names())
