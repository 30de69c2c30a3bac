"""What a scorer can be told, as plain values; without torch, so that a method can have them as its own fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

Preset = TypeVar("Preset", bound="Restoration")
Projecting = TypeVar("Projecting", bound="Projection")


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


@dataclass(frozen=True)
class Projection:
    """Descent of the energy |x - x_hat(x)|^2 + `observation_weight` * |x - y|_1 from the slice y, each pixel's step
    weighted by its own squared error (Dehaene et al. 2020): what is rebuilt well hardly moves.

    Attributes
    ----------
    steps, eta
        Steps of size `eta`. A squared error in [0, 1] is small (an error of .1 gives .01), so by default the weights
        are divided by the largest of the slice: the worst pixel moves by `eta` times its gradient.
    observation_weight
        How strongly a pixel is held at y: one whose error is below half of it stays.
    normalised
        Divide the weights by the slice's largest. Without it, 100 steps are far from the end.
    through_network
        Take the gradient through x_hat as well, as the equation has it. Without it a step costs one forward pass.
    smoothing
        Differences from y below this count quadratically, as in `Restoration`: a sign would swing around y, and which
        way would hang on the last bit.
    """

    steps: int = 100
    eta: float = 0.1
    observation_weight: float = 0.05
    normalised: bool = True
    through_network: bool = True
    smoothing: float = 0.01

    @classmethod
    def dehaene(cls: type[Projecting], **others: Any) -> Projecting:
        """The paper's step of .5 and weight of .05 for images in [-1, 1], as they are for images in [0, 1].

        There the error is twice as large, so the same descent has four times the step and half the weight.
        """
        values = {"eta": 2.0, "observation_weight": 0.025, "normalised": False, "smoothing": 0.0}
        return cls(**{**values, **others})


@dataclass(frozen=True)
class Attention:
    """Which pixels of a feature map drive the latent code away from N(0, 1) (Liu et al. 2020).

    Attributes
    ----------
    stage
        The encoder's stage whose feature map is looked at, from 1: at 128 pixels, 2 has cells of 4 pixels.
    legacy_sum_mu
        Take the gradient of the sum of mu, as the released code does, in the place of the mean's part of KL: a code at
        the prior, or on either side of it, then gives as much signal as a far one.
    """

    stage: int = 2
    legacy_sum_mu: bool = False


@dataclass(frozen=True)
class Similarity:
    """1 - SSIM of a slice and its reconstruction, pixel by pixel (Bergmann et al. 2019).

    Attributes
    ----------
    window
        Side in pixels of a slice of 128, odd; smaller slices have a smaller one, 3 at least. The paper's 11 pixels are
        20 mm and blur by as much; 5 is better for small lesions.
    sigma
        Width of the Gaussian in the window, in pixels of a slice of 128.
    rim
        The score fades to zero within so many pixels of the brain's edge, where the window sees the outside; 0: it
        stays.
    """

    window: int = 11
    sigma: float = 1.5
    rim: int = 5


@dataclass(frozen=True)
class Resampling:
    """Scores from the tokens of a slice that transformers hold for unlikely (Pinaya et al. 2021).

    Attributes
    ----------
    score
        "likelihood": minus the log-probability of each cell's token. "restoration": unlikely tokens are drawn anew, and
        the score is the residual. "restoration_masked": that residual where tokens were drawn anew, so that what the
        codebook cannot show does not count.
    healthy_share
        Tokens as unlikely as the least likely such share of held-out healthy ones are drawn anew.
    threshold
        A probability in the place of `healthy_share`; the paper's, chosen on its own held-out data, is .005 where it
        could be read of.
    sampler
        "sequential": each token drawn given the ones before it, as they are by then. "parallel": all at once given the
        slice's own, which is one pass, and less faithful.
    samples
        Restorations of each ordering; the score is the mean over all.
    smoothing
        Width of the Gaussian over the mask of "restoration_masked" in pixels of a slice of 128; 5 of 224 as published.
    """

    score: str = "restoration_masked"
    healthy_share: float = 0.01
    threshold: float | None = None
    sampler: str = "sequential"
    samples: int = 1
    smoothing: float = 2.9


@dataclass(frozen=True)
class PatchSearch:
    """How far a patch is from the healthy ones that lie where it lies.

    Attributes
    ----------
    place_reach, level_reach
        Healthy patches count that lie within so many steps of the grid of patches in the slice, and within so many of
        the memory's heights. Where there is none, all count.
    min_brain_share
        Patches with less brain are not looked at.
    """

    place_reach: int = 2
    level_reach: int = 2
    min_brain_share: float = 0.5
