"""How far each patch of a slice is from the healthy patches of its place, in a code that learned by itself.

Source: Yi & Yoon 2020, https://arxiv.org/abs/2006.16067.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from flairline.learning.slices.options import PatchSearch
from flairline.learning.slices.presets import TRAININGS, Architectures, Training
from flairline.learning.slices.slice_method import SliceMethod
from flairline.types import MethodInfo

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from flairline.learning.loop import Budget, Objective
    from flairline.learning.slices.slice_cache import SliceStore


@dataclass(frozen=True)
class Method(SliceMethod, PatchSearch):
    """Distance to the nearest healthy patch, patches of 16 and 32 pixels (30 and 60 mm) together.

    Published on textures and objects (MVTec), with patches of 32 and 64 of 256 pixels, not on brains. What is normal
    hangs on the place in a brain, so only healthy patches near a patch's own place and height are compared. It marks
    coarsely: a lesion with what lies around it. The fields are those of `PatchSearch`, of every slice method, and

    Attributes
    ----------
    fuse
        "product", the paper's, of both scales' distances over their healthy median, or "sum".
    near_weight
        Weight of neighbours' distance beside the places' cross-entropy in training; 1 in the published code.
    """

    fuse: str = "product"
    near_weight: float = 1.0

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Yi & Yoon 2020, https://arxiv.org/abs/2006.16067",
        training="on slices of healthy scans: flairline fit patch_svdd",
        cost="a minute a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"memory": 400_000, "memory_slices": 4_000},
        "small": {},
        "test": {"size": 32, "patch": 8, "code": 16, "filters": 16, "levels": 8, "memory": 2_000, "memory_slices": 30},
    }
    trainings: ClassVar[Mapping[str, Training]] = {
        **TRAININGS,
        "paper": replace(TRAININGS["paper"], batch=64, epochs=300, patience=300),
    }

    def sizes(self, values: Mapping[str, Any]) -> Any:
        """`PatchSizes`."""
        from flairline.learning.networks.patches import PatchSizes

        return PatchSizes(**values)

    def network(self, architecture: Any) -> Module:
        """The encoder of both scales, and the memory."""
        from flairline.learning.networks.patches import PatchSvddModel

        return PatchSvddModel(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """Neighbours alike, places told apart."""
        from flairline.learning.slices.patch_objectives import PatchSvdd

        return PatchSvdd(network, budget, learning_rate, self.near_weight)  # type: ignore[arg-type]

    def settle(self, network: Module, training: Sequence[SliceStore], held: Sequence[SliceStore]) -> None:
        """The healthy patches, and how far others are from them."""
        from flairline.learning.slices.patch_scorers import settle_svdd

        settle_svdd(network, training, held, self)  # type: ignore[arg-type]

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """How far each pixel's patches are from healthy ones, and the slices themselves."""
        from flairline.learning.slices.patch_scorers import svdd_scores

        return svdd_scores(network, images, brains, self.batch, self, self.fuse)  # type: ignore[arg-type]
