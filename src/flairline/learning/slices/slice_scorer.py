"""Scores scans slice by slice with one model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError, ModelError
from flairline.learning.device import chosen_device
from flairline.learning.model import CONFIG, ModelFolder
from flairline.learning.slices.learner import SliceLearner
from flairline.learning.slices.slices import SliceGrid, Slices, from_slices, to_slices
from flairline.types import Scan, Volume


@dataclass(frozen=True)
class SliceScorer:
    """Scores scans with one model folder; the network is read at the first scan."""

    method: SliceLearner
    model: ModelFolder
    grid: SliceGrid
    """How the model's slices are cut."""
    architecture: dict[str, Any]

    @staticmethod
    def read(method: SliceLearner, model: ModelFolder) -> SliceScorer:
        """The scorer of a model folder, by what the method can do.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        """
        config = model.config_of(method.family)
        kind = ReconstructingScorer if method.info.reconstructs else SliceScorer
        try:
            return kind(method, model, SliceGrid(**config["grid"]), dict(config["architecture"]))
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{model.path / CONFIG} lacks how slices are cut or how the network is built. Train the model again."
            raise ModelError(msg) from error

    def __call__(self, scan: Scan) -> Volume:
        """The score on the scan's grid, at least zero."""
        return self.score_many([scan])[0]

    def score_many(self, scans: Sequence[Scan]) -> list[Volume]:
        """The scores of several scans."""
        volumes = []
        for scan in scans:
            slices = to_slices(scan, self.grid)
            score, _ = self._scored(slices)
            volumes.append(Volume(from_slices(score, slices, scan), scan.space))
        return volumes

    def warm(self) -> None:
        """Read the network now."""
        assert self._network is not None

    def _scored(self, slices: Slices) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        if not len(slices.images):
            return slices.images, slices.images
        network, device = self._network
        images, brains = (
            torch.from_numpy(array.astype(np.float32))[:, None].to(device) for array in (slices.images, slices.brains)
        )
        score, reconstruction = self.method.score_slices(network, images, brains)
        return tuple(tensor[:, 0].detach().float().cpu().numpy() for tensor in (score, reconstruction))  # type: ignore[return-value]

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        try:
            import torch
        except ModuleNotFoundError as error:
            raise MissingExtraError(self.method.name, "deep") from error
        try:
            network = self.method.network(self.method.sizes(self.architecture))
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            path = self.model.path / CONFIG
            msg = f"{path} describes a network that cannot be built ({error}). Train the model again."
            raise ModelError(msg) from error
        device = torch.device(chosen_device(self.method.device))
        return self.model.fill(network).to(device), device


@dataclass(frozen=True)
class ReconstructingScorer(SliceScorer):
    """The same of a method that also says what it takes for healthy."""

    def reconstruction(self, scan: Scan, only: int | None = None) -> tuple[Volume, Volume]:
        """What the network sees, in [0, 1], and what it takes for healthy, on the scan's grid.

        With `only` just that axial slice is made, cut and scaled as in the whole scan; the others are zero.
        """
        slices = to_slices(scan, self.grid)
        if only is not None:
            kept = slices.indices == only
            slices = replace(
                slices, images=slices.images[kept], brains=slices.brains[kept], indices=slices.indices[kept]
            )
        _, reconstruction = self._scored(slices)
        images = (slices.images, reconstruction)
        seen, healthy = (Volume(from_slices(values, slices, scan), scan.space) for values in images)
        return seen, healthy
