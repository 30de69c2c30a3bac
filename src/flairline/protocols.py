"""How scores are judged. A protocol is data: everything that published numbers depend on is a field of it.

`experiment-1`, `experiment-2` and `native` follow the paper's published code (Meissen et al. 2021, sections 3.2 to 4;
where text and code differ, the code): all voxels of the slices, background included; 100 thresholds from the lowest to
the highest score of the cohort, `score > threshold`; the best one is chosen before the component filter and the Dice
reported after it. `sound` is what one should do: the scan's own grid, brain voxels, every threshold, the filter inside
the search.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, UnknownNameError
from flairline.metrics._counts import Counts, ScanMap
from flairline.postprocess.components import ComponentRule, remove_small_components
from flairline.preprocess.assemble import LabelledScan
from flairline.preprocess.resample import index_resize, index_resize_space
from flairline.types import BoolArray, Mask, Scan, Space, Volume

SRI24_SHAPE, SRI24_SPACING_MM = (240, 240, 155), 1.0


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
    strip_on
        Which image of a raw pair says where the brain is: the "t1", as the paper's code, or the "flair", as its text.
    truth_above
        A voxel is lesion if its (interpolated) label is greater than this.
    brain_only
        Judge the brain's voxels, or all voxels of the slices.
    n_thresholds
        Number of thresholds from the cohort's lowest to its highest score, chosen before the filter and used as
        `score > threshold`; None tries every threshold, `score >= threshold`, with the filter inside the search.
    components
        Which components a mask keeps.
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

    def prepare(self, labelled: LabelledScan) -> LabelledScan:
        """The scan as the method gets it: in-plane size changed, slices not cut yet.

        Raises
        ------
        GridError
            The protocol needs the SRI24 grid and the scan is on another.
        """
        self._check_grid(labelled.scan)
        if self.in_plane is None:
            return labelled
        side, scan = self.in_plane, labelled.scan
        space = index_resize_space(scan.space, side)
        images = {
            name: Volume(index_resize(image.array, side), space)
            for name, image in (("flair", scan.flair), ("t1", scan.t1), ("t2", scan.t2))
            if image is not None
        }
        brain = Mask(index_resize(scan.brain.array, side), space)
        labels = None if labelled.labels is None else index_resize(labelled.labels, side)
        return LabelledScan(replace(scan, brain=brain, **images), labels)  # type: ignore[arg-type]

    def truth(self, labelled: LabelledScan) -> BoolArray:
        """Where the lesions are (x, y, z); nowhere if the case has no truth."""
        if labelled.labels is None:
            return np.zeros(labelled.scan.space.shape, np.bool_)
        return labelled.labels > self.truth_above

    def cut(self, array: NDArray) -> NDArray:
        """The judged slices of an array (x, y, z)."""
        return array if self.slices is None else array[:, :, self.slices[0] : self.slices[1]]

    def scan_map(self, score: NDArray[np.float32], labelled: LabelledScan) -> ScanMap:
        """What is judged of one scan."""
        truth, brain = self.cut(self.truth(labelled)), self.cut(labelled.scan.brain.array)
        return ScanMap.from_arrays(self.cut(score), truth, brain, self.brain_only)

    def thresholds(self, counts: Counts) -> NDArray[np.float64]:
        """The thresholds to try on a cohort with these counts, where the protocol has `n_thresholds` of its own."""
        if self.n_thresholds is None:
            msg = f"the protocol {self.name} tries every threshold"
            raise ValueError(msg)
        return np.linspace(counts.minimum, counts.maximum, self.n_thresholds)

    def mask_at(self, score: NDArray[np.float32], brain: BoolArray, threshold: float) -> BoolArray:
        """The mask (x, y, z) that the protocol makes of a score at a threshold."""
        limit = np.float64(threshold)  # compares in float64, as the counts do; a Python float would be rounded
        marked = score >= limit if self.n_thresholds is None else score > limit
        return remove_small_components(marked & brain if self.brain_only else marked, self.components)

    def _check_grid(self, scan: Scan) -> None:
        if self.needs_sri24 and not on_sri24_grid(scan.space):
            spacing = " x ".join(f"{side:.3g}" for side in scan.spacing_mm)
            msg = (
                f"The protocol {self.name} wants the SRI24 grid (240x240x155 voxels of 1 mm), but {scan.subject} has"
                f" {'x'.join(map(str, scan.space.shape))} voxels of {spacing} mm. Register it (--atlas"
                " sri24, or the file of its T1), or use --protocol native or sound."
            )
            raise GridError(msg)


def on_sri24_grid(space: Space) -> bool:
    """Whether a grid has SRI24's shape and voxels; the origin is not compared (BraTS files differ in it)."""
    return space.shape == SRI24_SHAPE and bool(np.allclose(space.spacing_mm, SRI24_SPACING_MM, atol=1e-3))


_PROTOCOLS = (
    Protocol("experiment-1", in_plane=128, slices=(15, 125), needs_sri24=True),
    Protocol("experiment-2", in_plane=224, slices=(84, 88), needs_sri24=True),
    Protocol("native"),
    Protocol("sound", brain_only=True, n_thresholds=None, components=ComponentRule(20, 26)),
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
