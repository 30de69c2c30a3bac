"""Generators: published sizes, codes within their range, images that are their own."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from flairline import registry
from flairline.learning.networks.autoencoders import Architecture
from flairline.learning.networks.generator import CriticisedAutoencoder, Generator, InvertedGenerator

TINY = Architecture(size=32, filters=4, max_filters=8, bottom=8, latent=6, bottleneck="tanh")


def n_parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def test_the_paper_preset_has_the_published_layers():
    """Convolutions and dense layers of the unified network with a bottom of 16; norms are pixel by pixel."""
    network = InvertedGenerator(registry.load("methods", "fanogan")().architecture("paper"))
    bare = [
        sum(n_parameters(layer) for layer in part.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear))
        + sum(n_parameters(layer) for layer in part.modules() if isinstance(layer, torch.nn.ConvTranspose2d))
        for part in (network.encoder, network.generator, network.critic)
    ]
    convolutions = 257_472 - 2 * (32 + 64 + 128)
    assert bare[0] == convolutions + (128 * 16 + 16) + (4096 * 128 + 128)
    assert bare[1] == 666_561 - 2 * (128 + 128 + 64 + 32) + (128 * 4096 + 4096) + (16 * 128 + 128)
    assert bare[2] == convolutions + 128 * 16 * 16 + 1
    norms = [layer for layer in network.critic.modules() if isinstance(layer, torch.nn.LayerNorm)]
    assert [tuple(layer.normalized_shape) for layer in norms] == [(64, 64), (32, 32), (16, 16)]


def test_codes_stay_within_one_and_images_within_zero_and_one():
    torch.manual_seed(0)
    network = InvertedGenerator(TINY).eval()
    codes = network.encode(1e3 * torch.rand(5, 1, 32, 32))
    assert codes.shape == (5, 6) and codes.abs().max() <= 1
    images = network.generator(10 * torch.randn(5, 6))
    assert images.shape == (5, 1, 32, 32) and images.min() >= 0 and images.max() <= 1
    assert images.mean() < 0.3, "an untrained one draws dark images"


@pytest.mark.parametrize("kind", ["tanh", "vae", "vae_spatial"])
def test_a_generated_image_does_not_hang_on_the_others(kind):
    generator = Generator(replace(TINY, bottleneck=kind)).train()
    shape = (4, 6, 8, 8) if kind == "vae_spatial" else (4, 6)
    codes = torch.randn(shape)
    torch.testing.assert_close(generator(codes)[:1], generator(codes[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["vae", "vae_spatial"])
def test_codes_are_drawn_while_training_alone(kind):
    network, images = CriticisedAutoencoder(replace(TINY, bottleneck=kind)), torch.rand(3, 1, 32, 32)
    found = network(images)
    assert found.x_hat.shape == images.shape and found.mu.shape == found.log_sigma.shape
    assert found.mu.shape == ((3, 6, 8, 8) if kind == "vae_spatial" else (3, 6))
    assert not torch.equal(network(images).x_hat, found.x_hat)
    network.eval()
    assert torch.equal(network(images).x_hat, network(images).x_hat)
