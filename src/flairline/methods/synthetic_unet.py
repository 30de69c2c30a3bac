"""A small 3-D U-Net that has never seen a scan: trained on synthesised brains with drawn lesions.

Synthesis after SynthSeg (Billot et al. 2023); the network is MONAI's residual UNet. The package carries weights, so
`fit` needs no training; `flairline fit synthetic_unet LABEL_MAPS... -o MODEL` trains others. The score is the
probability of lesion, calibrated on synthetic scans of heads that the training did not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError
from flairline.imaging.tissue import normal_tissue
from flairline.learning.model import load_config, load_weights
from flairline.types import MethodInfo, Scan, Scorer, Volume

SHIPPED = Path(__file__).parent / "_weights" / "synthetic_unet"
"""The model folder that comes with the package."""
SAME_SPACING = 0.1
"""A grid whose spacing is within this share of 1 mm goes through the network as it is."""
MARGIN_VOXELS = 2


@dataclass(frozen=True)
class Method:
    """Lesion probability from a U-Net trained on synthetic scans.

    `device` is auto, cpu, cuda or mps.
    """

    device: str = "auto"

    shipped: ClassVar[Path] = SHIPPED
    learns_from: ClassVar[str] = "label maps"
    info: ClassVar[MethodInfo] = MethodInfo(
        paper="synthesis after Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789",
        training="none needed: weights made from synthetic scans are in the package",
        cost="2 to 5 seconds a scan on two cores",
        extra="deep",
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """The scorer with the package's weights; `healthy` is not looked at."""
        return self.load(SHIPPED)

    def load(self, folder: Path) -> Scorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            torch, MONAI or safetensors is not installed.
        """
        return _loaded(Path(folder).resolve(), self.device)

    def train(self, scans: Sequence[Path], folder: Path, **options: Any) -> None:
        """Train on label maps and write a model folder; `options` as `_torch.fit_unet.fit_folder` takes them."""
        try:
            from flairline.learning.volumes.fit_unet import fit_folder
        except ModuleNotFoundError as error:
            raise MissingExtraError("Training synthetic_unet", "deep") from error
        fit_folder(scans, folder, device=self.device, **options)


@lru_cache(maxsize=2)
def _loaded(folder: Path, device: str) -> Scorer:
    """A process reads a model once."""
    return UnetScorer(folder, device, load_config(folder, "synthetic_unet"))


@dataclass(frozen=True)
class UnetScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    folder: Path
    device: str
    config: dict[str, Any]

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        try:
            import torch

            from flairline.learning.model import fill
            from flairline.learning.volumes.unet import build
        except ModuleNotFoundError as error:
            raise MissingExtraError("synthetic_unet", "deep") from error
        if self.device != "auto":
            name = self.device
        elif torch.cuda.is_available():
            name = "cuda"
        else:
            name = "mps" if torch.backends.mps.is_available() else "cpu"
        size = self.config["size"]
        network = build(tuple(size["features"]), size.get("folded", False))
        network = fill(network, load_weights(self.folder), self.folder)
        return network.to(name), torch.device(name)

    def __call__(self, scan: Scan) -> Volume:
        """Probability of lesion, in [0, 1]."""
        from flairline.learning.volumes.unet import lesion_logits

        network, device = self._network
        where = _brain_box(scan.brain.array)
        z = working_image(scan)[where]
        fine, back = _to_one_mm(z, scan.spacing_mm)
        logits = back(lesion_logits(network, fine, device))
        logits = logits * self.config["calibration"]["slope"] + self.config["calibration"]["offset"]
        score = np.zeros(scan.space.shape, dtype=np.float32)
        score[where] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        score[~scan.brain.array] = 0
        return Volume(score, scan.space)


def working_image(scan: Scan) -> NDArray[np.float32]:
    """The scan as the network knows it: half-widths from normal tissue, cut off, as dark as CSF outside the brain."""
    from flairline.synthesis.training import Z_RANGE

    brain = scan.brain.array
    z = np.clip(normal_tissue(scan.flair.array[brain]).z(scan.flair.array), *Z_RANGE)
    return np.where(brain, z, np.float32(Z_RANGE[0]))


def _brain_box(brain: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The brain's box with a small margin."""
    box = []
    for axis in range(3):
        inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(int(inside[0]) - MARGIN_VOXELS, 0), int(inside[-1]) + 1 + MARGIN_VOXELS))
    return tuple(box)


def _to_one_mm(image: NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> tuple[NDArray[np.float32], Any]:
    """The image at about 1 mm, and the function that brings a result back onto the image's grid."""
    import torch
    from scipy import ndimage
    from torch.nn import functional

    if all(abs(side - 1) <= SAME_SPACING for side in spacing_mm):
        return image, lambda result: result
    shape = tuple(max(1, round(n * side)) for n, side in zip(image.shape, spacing_mm, strict=True))
    sigma = [max(0.0, 0.4 * (1 / side - 1)) for side in spacing_mm]  # finer than 1 mm: smooth before dropping voxels

    def resized(array: NDArray[np.float32], onto: tuple[int, ...]) -> NDArray[np.float32]:
        source = torch.from_numpy(np.ascontiguousarray(array))[None, None]
        return functional.interpolate(source, size=onto, mode="trilinear", align_corners=False)[0, 0].numpy()

    return resized(ndimage.gaussian_filter(image, sigma, mode="nearest"), shape), lambda r: resized(r, image.shape)
