"""How far the code of a patch is from that of its own copy, which a network made that has seen healthy patches alone.

Source: van Hespen et al. 2021, https://doi.org/10.1038/s41598-021-87013-4, with the network of Akcay et al. 2018.
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
    """Distance of two codes of a patch, its own and its copy's, of patches of 32 pixels (60 mm), 8 apart.

    Published on private scans: 68 % of 374 infarcts found. Its network could not be read of: the one here is GANomaly's
    (encoder, decoder, encoder, and a critic). The map is coarse by construction. The fields are those of `PatchSearch`,
    of every slice method, and

    Attributes
    ----------
    distance
        "ganomaly", the paper's; "mahalanobis" and "knn": of the first code to healthy ones, all of them or the nearest
        that lies in the same place.
    """

    distance: str = "ganomaly"

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="van Hespen et al. 2021, https://doi.org/10.1038/s41598-021-87013-4",
        training="on slices of healthy scans: flairline fit patch_distance",
        cost="half a minute a scan on two cores",
        extra="deep",
        role="learned",
        learns_from="scans",
    )
    architectures: ClassVar[Architectures] = {
        "paper": {"patch": 32, "stride": 8, "memory": 100_000},
        "small": {"patch": 32, "stride": 8, "filters": 16, "memory": 50_000, "memory_slices": 500},
        "test": {"size": 32, "patch": 8, "code": 32, "levels": 8, "memory": 2_000, "memory_slices": 30},
    }
    trainings: ClassVar[Mapping[str, Training]] = {**TRAININGS, "test": replace(TRAININGS["test"], steps=60)}

    def sizes(self, values: Mapping[str, Any]) -> Any:
        """`PatchSizes`."""
        from flairline.learning.networks.patches import PatchSizes

        return PatchSizes(**values)

    def network(self, architecture: Any) -> Module:
        """Encoder, decoder, encoder, critic, and the memory."""
        from flairline.learning.networks.ganomaly import Ganomaly

        return Ganomaly(architecture)

    def objective(self, network: Module, budget: Budget, learning_rate: float) -> Objective:
        """Copies and codes, against a critic."""
        from flairline.learning.slices.ganomaly import CopyPatches

        return CopyPatches(network, budget, learning_rate)

    def settle(self, network: Module, training: Sequence[SliceStore], held: Sequence[SliceStore]) -> None:
        """The healthy codes, and how far others are from them."""
        from flairline.learning.slices.ganomaly import settle_ganomaly

        settle_ganomaly(network, training, held, self)  # type: ignore[arg-type]

    def score_slices(self, network: Module, images: Tensor, brains: Tensor) -> tuple[Tensor, Tensor]:
        """How far each pixel's patches are, by `distance`, and the slices themselves."""
        from flairline.learning.slices.ganomaly import patch_distance_scores

        return patch_distance_scores(network, images, brains, self.batch, self, self.distance)  # type: ignore[arg-type]
