"""The mixture's network: responsibilities against densities, sizes, and that the image passes through the code."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from flairline import registry
from flairline.learning.networks.mixture import FIRST_LOG_PRECISION, MixtureAutoencoder, log_responsibilities


def components(n=4, k=3, d=2, side=5, seed=0):
    """A code z (n, d, side, side), and means and log inverse variances (n, k, d, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn((n, d, side, side), generator=generator)
    means, log_precisions = (torch.randn((n, k, d, side, side), generator=generator) for _ in range(2))
    return z, means, log_precisions


def network(name, preset="test", **fields):
    method = registry.load("methods", name)(**fields)
    torch.manual_seed(0)
    return MixtureAutoencoder(method.architecture(preset))


def test_responsibilities_are_those_of_the_explicit_density():
    z, means, log_precisions = components()
    found = log_responsibilities(z, means, log_precisions).exp()
    for n in range(4):
        for row in range(5):
            for column in range(5):
                at = (n, slice(None), slice(None), row, column)
                parts = Independent(Normal(means[at], torch.exp(-0.5 * log_precisions[at])), 1)
                whole = MixtureSameFamily(Categorical(torch.ones(3)), parts)
                code = z[n, :, row, column]
                expected = (parts.log_prob(code) - whole.log_prob(code)).exp() / 3
                torch.testing.assert_close(found[n, :, row, column], expected)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4, 5, 5))


@pytest.mark.parametrize(("legacy", "expected"), [(False, 0.98), (True, 0.0003)])
def test_the_narrow_component_has_a_code_in_its_middle_and_the_published_slip_gives_it_away(legacy, expected):
    z = torch.full((1, 1, 1, 1), 0.05)
    log_precisions = torch.tensor([4.0, -4.0]).view(1, 2, 1, 1, 1)
    narrow = log_responsibilities(z, torch.zeros_like(log_precisions), log_precisions, legacy).exp()[0, 0].item()
    assert narrow == pytest.approx(expected, rel=0.1)


def test_the_dense_one_is_a_variational_autoencoder_with_a_code_w_and_components():
    count = sum(weight.numel() for weight in network("gmvae", "paper").parameters())
    of_w, of_components = 2 * (1024 + 1), 2 * (1 + 1) * 128 * 9
    assert count == 1_758_449 + of_w + of_components


def test_the_spatial_one_has_a_number_for_each_of_64_places():
    made = network("gmvae_spatial", "paper").eval()
    latents = made(torch.rand(2, 1, 128, 128)).latents
    assert latents.z_mu.shape == latents.w_mu.shape == (2, 1, 8, 8)
    assert latents.means.shape == (2, 9, 1, 8, 8) and latents.log_shares.shape == (2, 9, 8, 8)


@pytest.mark.parametrize("name", ["gmvae", "gmvae_spatial"])
def test_the_image_comes_from_the_code_alone(name):
    """In published code the spatial decoder is fed the encoder's features: its image never passes the code."""
    one, two = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    made = network(name).eval()
    assert not torch.allclose(made(one).x_hat, made(two).x_hat)
    with torch.no_grad():
        for weight in made.z_heads.parameters():
            weight.zero_()
    assert torch.equal(made(one).x_hat, made(two).x_hat)
    if name == "gmvae_spatial":
        bypassed = network(name, legacy_bypass=True).eval()
        bypassed.load_state_dict(made.state_dict())
        assert not torch.allclose(bypassed(one).x_hat, bypassed(two).x_hat)


def test_codes_are_drawn_while_training_alone():
    images, made = torch.rand(2, 1, 32, 32), network("gmvae")
    assert not torch.equal(made(images).x_hat, made(images).x_hat)
    made.eval()
    assert torch.equal(made(images).x_hat, made(images).x_hat)


def test_components_begin_a_little_narrower_than_the_code():
    made = network("gmvae_spatial")
    assert made.components.log_precisions.bias.unique().item() == pytest.approx(FIRST_LOG_PRECISION)
    assert made.components.means.bias.unique().item() == 0


@pytest.mark.parametrize("name", ["gmvae", "gmvae_spatial"])
def test_no_slip_is_on_unless_it_is_asked_for(name):
    plain = registry.load("methods", name)().architecture("paper")
    assert not plain.legacy_bypass and not plain.legacy_responsibilities and plain.norm == "batch"
    slipped = registry.load("methods", name)(legacy_responsibilities=True, legacy_affine_norm=True)
    assert slipped.architecture("test").legacy_responsibilities and slipped.architecture("test").norm == "affine"
    one = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    of_plain, of_slipped = network(name).eval(), network(name, legacy_responsibilities=True).eval()
    with torch.no_grad():
        for made in (of_plain, of_slipped):
            made.components.log_precisions.bias.copy_(
                torch.linspace(-2, 2, made.components.log_precisions.out_channels)
            )
    of_slipped.load_state_dict(of_plain.state_dict())
    assert not torch.allclose(of_plain(one).latents.log_shares, of_slipped(one).latents.log_shares)


def test_shares_stay_finite_where_a_precision_is_extreme():
    made = network("gmvae").eval()
    with torch.no_grad():
        made.components.log_precisions.bias.fill_(1e4)
    latents = made(torch.rand(1, 1, 32, 32)).latents
    assert torch.isfinite(latents.log_shares).all() and latents.log_precisions.max() < math.log(1e10)
