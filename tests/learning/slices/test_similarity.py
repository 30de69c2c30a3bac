"""SSIM against scikit-image's, its score against what it must not do, and the published network's size."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
from torch import nn

from flairline import registry
from flairline.errors import InputError
from flairline.learning.loop import Budget
from flairline.learning.networks.autoencoders import Architecture, Output
from flairline.learning.networks.narrow import NarrowAutoencoder
from flairline.learning.slices.similarity import Similarity, Ssim, fading, similarity_scores, ssim


class Shifted(nn.Module):
    """x_hat = x - shift."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return Output(x - self.shift)


class Black(nn.Module):
    """x_hat = 0."""

    def forward(self, x):
        return Output(torch.zeros_like(x))


def pair(size=128, scale=1.0):
    images = torch.rand((2, 2, 1, size // 4, size // 4), generator=torch.Generator().manual_seed(0)) * scale
    return [nn.functional.interpolate(part, size=(size, size), mode="bilinear") for part in images]


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_it_is_the_ssim_of_scikit_image(scale):
    """Constants that a port forgot to square (c1 .01, c2 .03) would put dark images near 1."""
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pair(scale=scale)
    found = ssim(x, y, Similarity())[0, 0, 8:-8, 8:-8]
    _, whole = metrics.structural_similarity(
        x[0, 0].numpy(), y[0, 0].numpy(), data_range=1.0, full=True, gaussian_weights=True, use_sample_covariance=False
    )
    np.testing.assert_allclose(found, whole[8:-8, 8:-8], atol=2e-3)
    assert found.min() < 0.5


def test_its_windows_shrink_with_the_slice_and_alike_images_are_alike_to_the_edge():
    x, _ = pair(32)
    assert torch.allclose(ssim(x, x, Similarity()), torch.ones_like(x), atol=1e-5)
    spot = x.clone()
    spot[..., 16, 16] += 0.5
    reach = [(ssim(x, spot, Similarity(side, 8.0)) < 0.999)[0, 0].any(dim=0).sum() for side in (11, 21)]
    assert reach == [3, 5]


def test_the_loss_is_the_brains_mean():
    x, _ = pair(32)
    brain = torch.zeros_like(x)
    brain[..., 8:20, 6:25] = 1
    image, x_hat = x * brain, (x * brain - 0.1) * brain
    objective = Ssim(Shifted(0.1), Budget(1), 1e-3, Similarity(), l1_weight=2.0)
    inside = brain > 0
    wanted = (1 - ssim(image, x_hat, Similarity()))[inside].mean() + 2 * (image - x_hat).abs()[inside].mean()
    assert torch.allclose(objective.loss((image, brain)), wanted, atol=1e-6)


def test_a_black_reconstruction_costs_nearly_all_however_much_air_there_is():
    """Over whole slices it costs no more than the brain's share of them, and trainings ended there."""
    x, _ = pair(64)
    brain = torch.zeros_like(x)
    brain[..., 24:40, 24:40] = 1
    black = Ssim(Black(), Budget(1), 1e-3, Similarity())
    assert black.loss((x * brain, brain)) > 0.9
    assert 1 - ssim(x * brain, torch.zeros_like(x), Similarity()).mean() < 0.35


def test_only_what_is_brighter_counts_and_nothing_is_rounded():
    """A port that scores bytes would not see the step of a thousandth."""
    x = torch.zeros((1, 1, 128, 128))
    x[..., 40:90, 40:90] = 0.5
    brain = (x > 0).float()
    options = Similarity(rim=0)
    brighter, _ = similarity_scores(Shifted(0.1), x, brain, 1, options)
    darker, _ = similarity_scores(Shifted(-0.1), x, brain, 1, options)
    either, _ = similarity_scores(Shifted(-0.1), x, brain, 1, options, "absolute")
    assert brighter[brain > 0].min() > 0 and not darker.any() and either[brain > 0].min() > 0
    assert not brighter[brain == 0].any()
    fine, _ = similarity_scores(Shifted(1e-3), x, brain, 1, options)
    assert fine.max() > 0
    with pytest.raises(InputError, match="sign"):
        similarity_scores(Shifted(0.1), x, brain, 1, options, "negative")


def test_the_score_fades_towards_the_brains_edge():
    brain = torch.zeros((1, 1, 128, 128))
    brain[..., 20:60, 0:60] = 1
    found = fading(brain, 5)[0, 0]
    assert torch.allclose(found[19:27, 30], torch.tensor([0, 1, 2, 3, 4, 5, 6, 6]) / 6)
    assert torch.allclose(found[40, :3], torch.tensor([1, 2, 3]) / 6), "beyond the slice there is no brain"
    assert torch.equal(fading(brain, 0), brain)


def test_the_paper_preset_has_the_published_size():
    method = registry.load("methods", "ssim_ae")()
    network = NarrowAutoencoder(Architecture(**method.architectures["paper"]))
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_048_549
    x = torch.rand((2, 1, 128, 128))
    assert network.encoder(x).shape == (2, 100, 1, 1) and network(x).x_hat.shape == x.shape
