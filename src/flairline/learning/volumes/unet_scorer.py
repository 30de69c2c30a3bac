"""Scores scans with one model folder of the U-Net, on the scan's own grid."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError
from flairline.imaging.boxes import Box, box_of
from flairline.imaging.tissue import normal_tissue
from flairline.learning.atlas.placing import by_boxes
from flairline.learning.device import chosen_device
from flairline.learning.model import ModelFolder
from flairline.learning.volumes.sizes import Inlets
from flairline.preprocess.placing import ATLAS_MM, coarse_mni, place_on_atlas
from flairline.types import FloatArray, Mask, Scan, Space, Volume

log = logging.getLogger(__name__)

SAME_SPACING = 0.1
"""A grid whose spacing is within this share of 1 mm goes through the network as it is."""
MARGIN_VOXELS = 2

Beyond = list[tuple[int, int]]
"""Voxels of a box beyond either end of the grid, by axis."""


@dataclass(frozen=True)
class UnetScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    method: str
    model: ModelFolder
    device: str
    config: dict[str, Any]

    def __call__(self, scan: Scan) -> Volume:
        """Probability of lesion, in [0, 1]."""
        from flairline.learning.volumes.unet import Seen, lesion_logits
        from flairline.synthesis.training import Z_RANGE, t1_widths

        network, device = self._network
        inlets = Inlets.of(self.config["size"])
        where, beyond = _brain_box(scan.brain.array)

        def boxed(image: FloatArray, outside: float) -> FloatArray:
            return np.pad(image[where], beyond, constant_values=np.float32(outside))

        z = boxed(working_image(scan), Z_RANGE[0])
        fine, back = _to_one_mm(z, scan.spacing_mm)
        within = tuple(slice(before, side - after) for (before, after), side in zip(beyond, z.shape, strict=True))
        t1 = vox_to_atlas = None
        if inlets.t1 and scan.t1 is not None:
            t1, _ = _to_one_mm(boxed(t1_widths(scan.t1.array, scan.brain.array), 0), scan.spacing_mm)
        if inlets.placed:
            vox_to_atlas = _box_to_atlas(scan, where, beyond) @ _enlarged(z.shape, fine.shape)
        logits = back(lesion_logits(network, Seen(fine, t1, vox_to_atlas), device, inlets=inlets))[within]
        logits = logits * self.config["calibration"]["slope"] + self.config["calibration"]["offset"]
        score = np.zeros(scan.space.shape, dtype=np.float32)
        score[where] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
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


def _box_to_atlas(scan: Scan, where: Box, beyond: Beyond) -> NDArray[np.float64]:
    """4x4, from voxels of the brain's box to mm of the atlas: by the scan's registration, else by a rough one.

    The rough one looks at the box alone, along its own axes, so neither padding nor a header that is moved or turned
    changes a bit of it. Where it fails, the brain's box is laid onto that of the atlas.
    """
    if scan.atlas_to_native is not None:
        first = np.eye(4)
        first[:3, 3] = [side.start - before for side, (before, _) in zip(where, beyond, strict=True)]
        return np.asarray(np.linalg.inv(scan.atlas_to_native) @ scan.space.vox_to_ras @ first, np.float64)
    spacing_mm = np.round(scan.spacing_mm, 4)
    brain = np.pad(scan.brain.array[where], beyond)
    vox_to_mm = np.diag([*spacing_mm, 1.0])
    vox_to_mm[:3, 3] = -spacing_mm * (np.array(brain.shape) - 1) / 2
    space = Space((brain.shape[0], brain.shape[1], brain.shape[2]), vox_to_mm)
    image = scan.t1 or scan.flair
    alone = Scan.of(scan.subject, Volume(np.pad(image.array[where], beyond), space), Mask(brain, space))
    placed = place_on_atlas(alone)
    if placed.atlas_to_native is None:
        log.info("%s: its place in the brain is that of its brain's box. %s", scan.subject, placed.reason)
        to_box = by_boxes(alone.brain, coarse_mni(ATLAS_MM).brain)
    else:
        to_box = placed.atlas_to_native.ras_to_ras
    return np.asarray(np.linalg.inv(to_box) @ vox_to_mm, np.float64)


def _enlarged(shape: tuple[int, ...], fine: tuple[int, ...]) -> NDArray[np.float64]:
    """4x4, from voxels of a box brought to `fine` voxels to those of the box."""
    scale = np.array(shape) / np.array(fine)
    matrix = np.diag([*scale, 1.0])
    matrix[:3, 3] = (scale - 1) / 2
    return matrix


def _brain_box(brain: NDArray[np.bool_]) -> tuple[Box, Beyond]:
    """The brain's box with a small margin, and how many voxels of that lie beyond either end of the grid, by axis.

    The network's answer depends a little on where its input begins, so a margin that ended with the grid would make
    padding change the mask.
    """
    tight, box = box_of(brain), box_of(brain, MARGIN_VOXELS)
    beyond = [
        (MARGIN_VOXELS - (brain_side.start - side.start), MARGIN_VOXELS - (side.stop - brain_side.stop))
        for brain_side, side in zip(tight, box, strict=True)
    ]
    return box, beyond


def _to_one_mm(
    image: FloatArray, spacing_mm: tuple[float, float, float]
) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """The image at about 1 mm, and the function that brings a result back onto the image's grid."""
    import torch
    from scipy import ndimage
    from torch.nn import functional

    if all(abs(side - 1) <= SAME_SPACING for side in spacing_mm):
        return image, lambda result: result
    shape = tuple(max(1, round(n * side)) for n, side in zip(image.shape, spacing_mm, strict=True))
    sigma = [max(0.0, 0.4 * (1 / side - 1)) for side in spacing_mm]  # finer than 1 mm: smooth before dropping voxels

    def resized(array: FloatArray, onto: tuple[int, ...]) -> FloatArray:
        source = torch.from_numpy(np.ascontiguousarray(array))[None, None]
        return functional.interpolate(source, size=onto, mode="trilinear", align_corners=False)[0, 0].numpy()

    return resized(ndimage.gaussian_filter(image, sigma, mode="nearest"), shape), lambda r: resized(r, image.shape)
