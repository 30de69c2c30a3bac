"""Scores scans with one model folder of the U-Net, on the scan's own grid."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError
from flairline.imaging.tissue import normal_tissue
from flairline.learning.atlas.placing import by_boxes
from flairline.learning.device import chosen_device
from flairline.learning.model import ModelFolder
from flairline.learning.volumes.sizes import Inlets
from flairline.learning.volumes.working_grid import WorkingGrid
from flairline.preprocess.placing import ATLAS_MM, coarse_mni, place_on_atlas
from flairline.types import FloatArray, Mask, Scan, Space, Volume

if TYPE_CHECKING:
    from flairline.learning.volumes.seen import Seen

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnetScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    method: str
    model: ModelFolder
    device: str
    config: dict[str, Any]

    def __call__(self, scan: Scan) -> Volume:
        """Probability of lesion, in [0, 1]."""
        from flairline.learning.volumes.unet import lesion_logits

        network, device = self._network
        inlets = Inlets.of(self.config["size"])
        grid = WorkingGrid.of(scan.brain.array, scan.spacing_mm)
        logits = grid.back(lesion_logits(network, seen_of(scan, grid, inlets), device, inlets=inlets))
        logits = logits * self.config["calibration"]["slope"] + self.config["calibration"]["offset"]
        score = np.zeros(scan.space.shape, dtype=np.float32)
        score[grid.where] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        score[~scan.brain.array] = 0
        return Volume(score, scan.space)

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        try:
            import torch

            from flairline.learning.volumes.unet import build
        except ModuleNotFoundError as error:
            raise MissingExtraError(self.method, "deep") from error
        size = self.config["size"]
        network = self.model.fill(build(tuple(size["features"]), size.get("folded", False), Inlets.of(size)))
        device = torch.device(chosen_device(self.device))
        return network.to(device), device


def working_image(scan: Scan) -> FloatArray:
    """The scan as the network knows it: half-widths from normal tissue, cut off, as dark as CSF outside the brain."""
    from flairline.synthesis.training import Z_RANGE

    brain = scan.brain.array
    z = np.clip(normal_tissue(scan.flair.array[brain]).z(scan.flair.array), *Z_RANGE)
    return np.where(brain, z, np.float32(Z_RANGE[0]))


def seen_of(scan: Scan, grid: WorkingGrid, inlets: Inlets) -> Seen:
    """A scan on its working grid, with what the inlets take of it."""
    from flairline.learning.volumes.seen import Seen
    from flairline.synthesis.training import Z_RANGE, t1_widths

    image = grid.brought(grid.boxed(working_image(scan), Z_RANGE[0]))
    t1 = vox_to_atlas = None
    if inlets.t1 and scan.t1 is not None:
        t1 = grid.brought(grid.boxed(t1_widths(scan.t1.array, scan.brain.array), 0.0))
    if inlets.placed:
        vox_to_atlas = _box_to_atlas(scan, grid) @ grid.to_box
    return Seen(image, t1, vox_to_atlas, grid.anchor)


def _box_to_atlas(scan: Scan, grid: WorkingGrid) -> NDArray[np.float64]:
    """4x4, from voxels of the brain's box to mm of the atlas: by the scan's registration, else by a rough one.

    The rough one looks at the box alone, along its own axes, so neither padding nor a header that is moved or turned
    changes a bit of it. Where it fails, the brain's box is laid onto that of the atlas.
    """
    if scan.atlas_to_native is not None:
        first = np.eye(4)
        first[:3, 3] = [side.start - before for side, (before, _) in zip(grid.where, grid.beyond, strict=True)]
        return np.asarray(np.linalg.inv(scan.atlas_to_native) @ scan.space.vox_to_ras @ first, np.float64)
    spacing_mm = np.round(scan.spacing_mm, 4)
    vox_to_mm = np.diag([*spacing_mm, 1.0])
    vox_to_mm[:3, 3] = -spacing_mm * (np.array(grid.box_shape) - 1) / 2
    space = Space(grid.box_shape, vox_to_mm)
    image = scan.t1 or scan.flair
    brain = Mask(grid.boxed(scan.brain.array, False), space)
    alone = Scan.of(scan.subject, Volume(grid.boxed(image.array, 0.0), space), brain)
    placed = place_on_atlas(alone)
    if placed.atlas_to_native is None:
        log.info("%s: its place in the brain is that of its brain's box. %s", scan.subject, placed.reason)
        to_box = by_boxes(alone.brain, coarse_mni(ATLAS_MM).brain)
    else:
        to_box = placed.atlas_to_native.ras_to_ras
    return np.asarray(np.linalg.inv(to_box) @ vox_to_mm, np.float64)
