"""The mixture's loss against torch's distributions, and restoration with it."""

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.distributions import Categorical, Normal, kl_divergence

from flairline import registry
from flairline.learning.loop import Budget
from flairline.learning.networks.mixture import Latents, MixtureAutoencoder, log_responsibilities
from flairline.learning.slices.mixture import MixtureElbo, mixture_kl
from flairline.learning.slices.restoration import restoration_scores


def latents(n=3, k=4, d=2, v=2, side=3, spread=1.0, seed=0):
    """Codes and components of `n` images on a grid of `side`."""
    generator = torch.Generator().manual_seed(seed)
    z_mu, z_log_var = (torch.randn((n, d, side, side), generator=generator) for _ in range(2))
    w_mu, w_log_var = (torch.randn((n, v, side, side), generator=generator) for _ in range(2))
    means, log_precisions = (spread * torch.randn((n, k, d, side, side), generator=generator) for _ in range(2))
    shares = log_responsibilities(z_mu, means, log_precisions)
    return Latents(z_mu, z_log_var, w_mu, w_log_var, means, log_precisions, shares)


def by_distributions(codes, free_nats):
    """The same by torch.distributions, image by image and place by place."""
    shares = codes.log_shares.exp()
    q = Normal(codes.z_mu[:, None], torch.exp(0.5 * codes.z_log_var[:, None]))
    kl_z = shares * kl_divergence(q, Normal(codes.means, torch.exp(-0.5 * codes.log_precisions))).sum(dim=2)
    kl_w = kl_divergence(Normal(codes.w_mu, torch.exp(0.5 * codes.w_log_var)), Normal(0.0, 1.0))
    places = shares.movedim(1, -1)
    kl_c = kl_divergence(Categorical(places), Categorical(torch.ones_like(places)))
    return sum(part.flatten(1).sum(dim=1) for part in (kl_z, kl_w, kl_c.clamp(min=free_nats)))


@pytest.fixture(params=["gmvae", "gmvae_spatial"])
def method(request):
    return registry.load("methods", request.param)(steps=40)


@pytest.fixture
def network(method):
    """Of the preset test, with components that lie apart and differ in width."""
    torch.manual_seed(0)
    made = MixtureAutoencoder(method.architecture("test"))
    with torch.no_grad():
        for layer in (made.components.means, made.components.log_precisions):
            layer.bias.copy_(torch.linspace(-1.5, 1.5, layer.out_channels))
    return made.eval()


@pytest.fixture
def images():
    """Six smooth images in a disc of brain."""
    axis = torch.linspace(-1, 1, 32)
    brain = (axis[:, None] ** 2 + axis[None] ** 2 < 0.7).float().expand(6, 1, 32, 32).contiguous()
    noise = torch.rand((6, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(noise, size=(32, 32), mode="bilinear") * brain, brain


@pytest.mark.parametrize("free_nats", [0.0, 0.5, 1.0])
def test_the_codes_cost_what_the_distributions_say(free_nats):
    codes = latents()
    torch.testing.assert_close(mixture_kl(codes, free_nats), by_distributions(codes, free_nats))


def test_below_the_free_nats_a_place_costs_a_constant_and_log_k_is_the_most():
    alike = latents(spread=0.0)
    without = mixture_kl(alike, 0.0)
    torch.testing.assert_close(mixture_kl(alike, 1.0) - without, torch.full((3,), 9.0), msg="one nat for each of 3 x 3")
    codes = latents(spread=5.0)
    assert (mixture_kl(codes, math.log(4)) - mixture_kl(codes, 0.0)).min() >= -1e-3
    torch.testing.assert_close(mixture_kl(codes, 2.0), mixture_kl(codes, math.log(4)) + 9 * (2.0 - math.log(4)))


def test_the_loss_is_summed_over_pixels_and_averaged_over_images(method, network, images):
    objective = method.objective(network, Budget(1), 1e-3)
    assert isinstance(objective, MixtureElbo) and objective.free_nats == 1.0
    found = network(images[0])
    expected = (images[0] - found.x_hat).abs().flatten(1).sum(dim=1) + by_distributions(found.latents, 1.0)
    torch.testing.assert_close(objective.validate(images), expected.mean())


def test_a_step_is_the_gradient_of_the_whole_loss(method, network, images):
    y, brain = images
    options = type(method)(steps=2, clip=None, smoothing=0.0)
    x = y.clone()
    for _ in range(2):
        given = x.clone().requires_grad_()
        found, moved = network(given), given - y
        loss = (given - found.x_hat).abs().sum() + by_distributions(found.latents, 1.0).sum()
        loss = loss + 1.8 * sum(moved.diff(dim=axis).abs().sum() for axis in (2, 3))
        x = x - 1e-3 * brain * torch.autograd.grad(loss, given)[0]
    _, restored = options.score_slices(network, y, brain)
    torch.testing.assert_close(restored, x * brain, atol=1e-5, rtol=0)
    _, without = restoration_scores(network, y, brain, 6, options)
    assert not torch.allclose(without, restored, atol=1e-5), "the codes' cost moves pixels"


def test_a_batch_restores_as_its_slices_alone(method, network, images):
    """Published code averages the loss over the batch, but not the total variation: its result hangs on the batch."""
    together = method.score_slices(network, *images)[0]
    alone = [method.score_slices(network, *(part[n : n + 1] for part in images))[0] for n in range(6)]
    assert together.max() > 0.005
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)
    averaged = type(method)(steps=40, legacy_batch_mean=6).score_slices(network, *images)[0]
    assert (averaged - together).abs().max() > 1e-3


def test_the_published_average_is_less_reconstruction_beside_the_same_total_variation(method, network, images):
    published = type(method).baur_code(steps=10, legacy_batch_mean=8)
    same = type(method).baur_code(steps=10, eta=published.eta / 8, tv_weight=published.tv_weight * 8)
    for one, two in zip(published.score_slices(network, *images), same.score_slices(network, *images), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_the_authors_settings_are_those_of_their_mixture(method):
    authors = type(method).you(steps=7)
    assert (authors.steps, authors.tv_weight, authors.clip, authors.free_nats) == (7, 1.8, 100.0, 0.5)
    assert authors.reconstruction == "l2" and not authors.legacy_responsibilities
