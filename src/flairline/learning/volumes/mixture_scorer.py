"""Scores scans with one model folder of a mixture of tissues: how much of a voxel is lesion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from flairline.errors import MissingExtraError, ModelError
from flairline.learning.device import chosen_device
from flairline.learning.model import CONFIG, ModelFolder
from flairline.types import FloatArray, Scan, Volume

if TYPE_CHECKING:
    from flairline.learning.volumes.fit_mixture import MixtureLearner


@dataclass(frozen=True)
class MixtureScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    method: MixtureLearner
    model: ModelFolder
    grid: dict[str, Any]
    """Values of `MixtureSizes`."""

    @classmethod
    def read(cls, method: MixtureLearner, model: ModelFolder) -> MixtureScorer:
        """The scorer of a model folder. Raises `ModelError` if it is missing, broken, foreign or newer."""
        return cls(method, model, dict(model.config_of(method.family)["grid"]))

    def __call__(self, scan: Scan) -> Volume:
        """Share of lesion in each voxel, in [0, 1]."""
        from flairline.learning.volumes.mixture_scans import working_images

        network, sizes, device = self._network
        score = np.zeros(scan.space.shape, dtype=np.float32)
        if scan.brain.array.any():
            images, _, where, back = working_images(scan, sizes.spacing_mm)
            score[where] = back(lesion_share(network, images, sizes.patch, device))
        score[~scan.brain.array] = 0
        return Volume(score, scan.space)

    def warm(self) -> None:
        """Read the network now."""
        assert self._network is not None

    @cached_property
    def _network(self) -> tuple[Any, Any, Any]:
        try:
            import torch

            from flairline.learning.networks.tissue_mixture import MixtureSizes, TissueMixture
        except ModuleNotFoundError as error:
            raise MissingExtraError(self.method.name, "deep") from error
        try:
            sizes = MixtureSizes(**self.grid)
            network = TissueMixture(sizes)
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            msg = f"{self.model.path / CONFIG} describes a network that cannot be built ({error}). Train it again."
            raise ModelError(msg) from error
        device = torch.device(chosen_device(self.method.device))
        return self.model.fill(network).to(device), sizes, device


def lesion_share(network: Any, images: FloatArray, patch: int, device: Any) -> FloatArray:
    """Share of lesion (x, y, z) of images (2, x, y, z): patches that overlap by half, their mean."""
    import torch
    from monai.inferers import sliding_window_inference

    def shares(given: torch.Tensor) -> torch.Tensor:
        return network(given).softmax(dim=1)[:, network.lesion, None]

    with torch.inference_mode():
        given = torch.from_numpy(np.ascontiguousarray(images))[None].to(device)
        found: Any = sliding_window_inference(given, (patch,) * 3, 2, shares, overlap=0.5)
    return found[0, 0].float().cpu().numpy()
