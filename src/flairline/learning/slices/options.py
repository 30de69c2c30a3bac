"""What a scorer can be told, as plain values; without torch, so that a method can have them as its own fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

Preset = TypeVar("Preset", bound="Restoration")


@dataclass(frozen=True)
class Restoration:
    """Gradient descent on reconstruction + KL + `tv_weight` * TV(x - y), from the slice y. Defaults as in the
    comparative study of Baur et al. 2021, but for its published slips, with clip and mask of You et al. 2019.

    Attributes
    ----------
    steps, eta, later_eta, later_from
        Steps of size `eta`; from step `later_from` on `later_eta`, if given. The reconstruction term alone pulls a
        pixel by `eta` a step, so a pixel goes no farther than about `reach` (0.15 of the unit range by default) plus
        what the KL term and the decoder add: a lesion that is brighter than its surroundings by more is not removed
        whole, only marked with about the reach. Of two that are both brighter by more than that the score does not
        say which is brighter. `eta=5e-3` with `tv_weight=0.5` reaches 0.75 (with 1.8 only 0.21, see `smoothing`).
    clip
        Largest absolute value of an element of the gradient, or None.
    tv_weight, kl_weight
        Weights beside the reconstruction's 1; all terms are sums over a slice's pixels. With "l1" and a constant model
        a bright square is removed only if it is wider than 4 * `tv_weight` pixels: 7.2 by default, 13.5 mm at 1.875 mm
        a pixel, however bright it is. On a phantom and a barely trained model (175 steps, slices of 64) discs of 3
        pixels that were .3 too bright moved by .02 with the defaults, and by .17 with `tv_weight=0.5, eta=5e-3`, where
        healthy tissue moved by .12.
    reconstruction
        "l1" (sum of absolute differences) or "l2" (sum of squares).
    masked
        Whether only the brain's pixels move.
    smoothing
        Differences below this count quadratically, in "l1" and in the total variation (Huber). A sign would make
        pixels swing by 4 * `eta` * `tv_weight` around the minimum without end, and whether they swing up or down would
        hang on the last bit, hence on the batch size. A step longer than `smoothing` / (4 * `tv_weight`) would swing
        again, so it is shortened to that. 0 gives the published signs and steps.
    tolerance
        A slice stops once no pixel of it moves by more than this in a step; 0 never stops early.
    legacy_tv_on_residual
        The total variation of x - x_hat(x), as in the study's code, where nothing ties x to y.
    legacy_batch_mean
        Reconstruction and KL are divided by this many, the total variation is not: the study's code for mixtures
        averages the former over the batch. Its `tv_weight` was searched in batches of 8 and used in batches of 1.
    """

    steps: int = 150
    eta: float = 1e-3
    later_eta: float | None = None
    later_from: int = 100
    clip: float | None = 50.0
    tv_weight: float = 1.8
    kl_weight: float = 1.0
    reconstruction: str = "l1"
    masked: bool = True
    smoothing: float = 0.01
    tolerance: float = 0.0
    legacy_tv_on_residual: bool = False
    legacy_batch_mean: int = 1

    @classmethod
    def you(cls: type[Preset], **others: Any) -> Preset:
        """As the code of You et al. 2019 restores with a VAE: squared errors, 500 steps, longer ones first."""
        values = {
            "steps": 500,
            "eta": 5e-3,
            "later_eta": 2e-3,
            "later_from": 100,
            "tv_weight": 2.2,
            "reconstruction": "l2",
            "smoothing": 0.0,
        }
        return cls(**{**values, **others})

    @classmethod
    def baur_code(cls: type[Preset], **others: Any) -> Preset:
        """As the code of Baur et al. 2021 restores: no clip, no mask, total variation of the model's own residual."""
        values = {"clip": None, "masked": False, "smoothing": 0.0, "legacy_tv_on_residual": True}
        return cls(**{**values, **others})

    def eta_at(self, step: int) -> float:
        """Step size of a step, counted from 0."""
        eta = self.eta if self.later_eta is None or step < self.later_from else self.later_eta
        if self.smoothing > 0 and self.tv_weight > 0:
            eta = min(eta, self.smoothing / (4 * self.tv_weight))
        return eta

    @property
    def reach(self) -> float:
        """How far a gradient of 1 moves a pixel in all steps."""
        return sum(self.eta_at(step) for step in range(self.steps))


@dataclass(frozen=True)
class Gradient:
    """Scores from the loss's gradient towards the image (Zimmerer et al. 2019).

    Attributes
    ----------
    kind
        "kl", "rec" or "elbo": the gradient of that term; "combi": smoothed gradient of KL times reconstruction error;
        "add": gradient of KL plus reconstruction error. The last two bring their parts to [0, 1] over the volume's
        brain (the paper's code: over the batch, so that a score depends on its neighbours in the batch).
    sigma
        Width of the smoothing in pixels of a slice of 128; 3 at 64 in the paper. The kernel ends at 7/6 of it.
    reconstruction
        "l1" or "l2" (half the square), the likelihood that the network was trained with.
    kl_weight
        Weight of KL in "elbo".
    """

    kind: str = "combi"
    sigma: float = 6.0
    reconstruction: str = "l1"
    kl_weight: float = 1.0
