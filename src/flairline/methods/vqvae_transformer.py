"""Slices as tokens, and transformers that find the unlikely ones and draw them anew.

Source: Pinaya et al. 2021, https://arxiv.org/abs/2102.11650. The networks are MONAI's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from flairline.learning.slices.options import Resampling
from flairline.learning.slices.presets import TRAININGS, Architectures, Training
from flairline.learning.slices.slice_method import SliceMethod
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.slices.slice_cache import SliceStore


@dataclass(frozen=True)
class Method(SliceMethod, Resampling):
    """The residual of a slice whose unlikely tokens were drawn anew, there where they were; a mean over orderings.

    Published [Dice]: BraTS 2017 .759, MSLUB .465, WMH .441, on four slices a scan that were not skull-stripped but for
    BraTS. A VQ-VAE makes a slice a grid of codes; each transformer reads the grid in an order of its own (raster scans,
    reflected and transposed) and was trained on its own. The fields are those of `Resampling` and of every slice
    method.

    The paper's transformers approximate attention (Performer) and have sizes that could not be read; here attention is
    exact, in 12 layers. Its batches of 256 do not fit one machine; here they are 16.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Pinaya et al. 2021, https://arxiv.org/abs/2102.11650",
        training="on slices of healthy scans: flairline fit vqvae_transformer",
        cost="minutes a scan on two cores (preset small), a GPU for the preset paper",
        extra="deep",
        published_as="VQ-VAE + transformer",
        iterative=True,
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    architectures: ClassVar[Architectures] = {
        "paper": {
            "size": 224,
            "channels": (256, 256, 256),
            "code_size": 256,
            "width": 256,
            "depth": 12,
            "heads": 8,
            "orderings": 8,
        },
        "small": {},
        "test": {
            "size": 32,
            "channels": (16, 16),
            "codes": 8,
            "code_size": 16,
            "width": 16,
            "depth": 1,
            "heads": 2,
        },
    }
    trainings: ClassVar[Mapping[str, Training]] = {
        "paper": replace(TRAININGS["paper"], batch=16, learning_rate=5e-4, epochs=500, patience=10**6),
        "small": replace(TRAININGS["small"], patience=10**6, validation_slices=64),
        "test": replace(TRAININGS["test"], batch=8, steps=100, validate_every=50),
    }

    def sizes(self, values: Mapping[str, Any]) -> Any:
        """`TokenSizes`."""
        from flairline.learning.networks.tokens import TokenSizes

        return TokenSizes(**values)

    def network(self, architecture: Any) -> Module:
        """VQ-VAE and transformers."""
        from flairline.learning.networks.tokens import TokenModel

        return TokenModel(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """First the VQ-VAE, then the transformers."""
        from flairline.learning.slices.token_objective import TokenBound

        return TokenBound(network, budget, learning_rate)  # type: ignore[arg-type]

    def settle(self, network: Module, training: Sequence[SliceStore], held: Sequence[SliceStore]) -> None:
        """How likely held-out healthy tokens are."""
        from flairline.learning.slices.token_scorers import keep_healthy_log_p

        keep_healthy_log_p(network, held)  # type: ignore[arg-type]

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """By `score`, and the mean restoration."""
        from flairline.learning.slices.token_scorers import token_scores

        return token_scores(network, images, brains, self.batch, self, self.sign, self.seed)  # type: ignore[arg-type]
