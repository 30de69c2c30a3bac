"""Attention against a network whose gradient is known."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn

from flairline.errors import InputError, ModelError
from flairline.learning.networks.autoencoders import Architecture, UnifiedAutoencoder
from flairline.learning.slices.attention import Attention, attention_scores

GAINS = torch.tensor([2.0, -1.0, 0.5])


class Known(nn.Module):
    """Features GAINS * x in three channels, mu = the sum over places of w_k * feature k."""

    w = torch.tensor([0.3, 0.4, -0.2])

    def encoder(self, x):
        return [GAINS.view(1, 3, 1, 1) * x]

    @property
    def bottleneck(self):
        return self

    def encode(self, features):
        mu = (self.w.view(1, 3, 1, 1) * features).sum(dim=(1, 2, 3))[:, None]
        return mu, torch.zeros_like(mu)

    def decode(self, mu):
        return mu.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def images(n=3, seed=0):
    return torch.rand((n, 1, 8, 8), generator=torch.Generator().manual_seed(seed)) - 0.3


@pytest.mark.parametrize("legacy", [False, True])
def test_the_map_of_a_known_network_is_its_closed_form(legacy):
    x = images()
    score, x_hat = attention_scores(Known(), x, torch.ones_like(x), 2, Attention(1, legacy), "absolute")
    mu = (Known.w * GAINS).sum() * x.sum(dim=(1, 2, 3))
    # d target / d A_k is mu w_k at every place (w_k for the sum of mu), so alpha_k is that, and A_k is GAINS_k x.
    expected = (Known.w * GAINS).sum() * x * (1 if legacy else mu.view(-1, 1, 1, 1))
    assert torch.allclose(score, expected.abs(), atol=1e-5)
    assert torch.allclose(x_hat[:, 0, 0, 0], mu, atol=1e-5)
    positive, _ = attention_scores(Known(), x, torch.ones_like(x), 2, Attention(1, legacy))
    assert torch.allclose(positive, expected.clamp(min=0), atol=1e-5) and (positive == 0).any()


def test_a_slice_at_the_prior_has_no_attention():
    """Scaled to its own range, as published, every slice would hold an anomaly."""
    x = images(1)
    x = x - x.mean()
    score, _ = attention_scores(Known(), x, torch.ones_like(x), 1, Attention(1), "absolute")
    assert score.max() < 1e-5
    legacy, _ = attention_scores(Known(), x, torch.ones_like(x), 1, Attention(1, legacy_sum_mu=True), "absolute")
    assert legacy.max() > 0.05


def test_a_slices_map_does_not_depend_on_the_batch():
    """The published code divides by the root mean square over the batch."""
    x = images(5) * torch.tensor([1.0, 5.0, 0.1, 2.0, 1.0]).view(-1, 1, 1, 1)
    one, many = (attention_scores(Known(), x, torch.ones_like(x), batch, Attention(1))[0] for batch in (1, 16))
    assert torch.allclose(one, many, atol=1e-6)


def test_stages_that_are_not_there_and_networks_without_a_prior_are_refused():
    x = torch.zeros((1, 1, 32, 32))
    tiny = {"size": 32, "filters": 4, "max_filters": 8, "latent": 8}
    with pytest.raises(InputError, match="from 1 to 2"):
        network = UnifiedAutoencoder(Architecture(bottleneck="vae", **tiny)).eval()
        attention_scores(network, x, x, 1, Attention(stage=3))
    with pytest.raises(ModelError, match="without log_sigma"):
        attention_scores(UnifiedAutoencoder(Architecture(**tiny)).eval(), x, x, 1, Attention())
