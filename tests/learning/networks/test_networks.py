"""The networks: published sizes, the pyramid, and dropout whose draws belong to no batch."""

import pytest

torch = pytest.importorskip("torch")

from flairline import registry
from flairline.learning.networks import pyramid
from flairline.learning.networks.autoencoders import (
    Architecture,
    ChannelAffine,
    Decoder,
    Encoder,
    SkipAutoencoder,
    UnifiedAutoencoder,
)
from flairline.learning.networks.dropout import Dropout, SkipDropout, drawn_masks
from flairline.learning.slices.scorers import residual_scores

LEARNED = ["ae_dense", "ae_spatial", "ae_bayesian", "ae_skip_bayesian", "ssae", "vae", "context_vae"]
TINY = Architecture(size=32, filters=4, max_filters=8, latent=8)


def n_parameters(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("bottom", "encoder", "decoder"), [(8, 667_456, 692_257), (16, 257_472, 666_561)])
def test_encoder_and_decoder_have_the_published_size(bottom, encoder, decoder):
    architecture = Architecture(bottom=bottom)
    assert (n_parameters(Encoder(architecture)), n_parameters(Decoder(architecture))) == (encoder, decoder)


@pytest.mark.parametrize(
    ("name", "count"),
    [("ae_dense", 1_627_249), ("ae_bayesian", 1_627_249), ("ae_spatial", 1_359_713), ("vae", 1_758_449)],
)
def test_the_paper_preset_has_the_published_size(name, count):
    method = registry.load("methods", name)()
    assert n_parameters(method.network(Architecture(**method.architectures["paper"]))) == count


def test_a_bottom_of_sixteen_has_the_published_size():
    assert n_parameters(UnifiedAutoencoder(Architecture(bottleneck="vae", bottom=16))) == 2_505_489


@pytest.mark.parametrize("name", LEARNED)
def test_a_network_keeps_the_images_size(name):
    method = registry.load("methods", name)()
    architecture = Architecture(**method.architectures["test"])
    images = torch.rand(3, 1, architecture.size, architecture.size)
    assert method.network(architecture)(images).x_hat.shape == images.shape


@pytest.mark.parametrize(("size", "bottom"), [(100, 8), (8, 8)])
def test_a_size_that_does_not_halve_down_is_refused(size, bottom):
    with pytest.raises(ValueError, match="does not halve down"):
        Encoder(Architecture(size=size, bottom=bottom))


def test_the_affine_norm_scales_and_shifts_and_normalises_nothing():
    norm = ChannelAffine(3)
    images = torch.randn(4, 3, 5, 6) * 7 + 2
    assert torch.equal(norm(images), images)
    with torch.no_grad():
        norm.weight[1], norm.bias[1] = 2.0, -1.0
    changed = norm(images)
    assert torch.equal(changed[:, 1], 2 * images[:, 1] - 1) and torch.equal(changed[:, ::2], images[:, ::2])
    network = UnifiedAutoencoder(Architecture(size=32, filters=4, max_filters=8, latent=8, norm="affine", dropout=0.0))
    one = torch.rand(1, 1, 32, 32)
    both = torch.cat([one, torch.rand(1, 1, 32, 32)])  # in training, a batch norm would mix the two
    torch.testing.assert_close(network.train()(both).x_hat[:1], network(one).x_hat)
    assert not torch.allclose(UnifiedAutoencoder(TINY).train()(both).x_hat[:1], network(one).x_hat)


@pytest.mark.parametrize("mode", ["eval", "drawn"])
@pytest.mark.parametrize("name", LEARNED)
def test_the_batch_does_not_matter(name, mode):
    torch.manual_seed(0)
    method = registry.load("methods", name)()
    architecture = Architecture(**method.architectures["test"])
    network = method.network(architecture).eval()
    images = torch.rand(16, 1, architecture.size, architecture.size)
    brains = torch.ones_like(images)
    draws = 3 if mode == "drawn" else 0
    one, sixteen = (residual_scores(network, images, brains, batch, n_mc=draws, seed=5)[1] for batch in (1, 16))
    torch.testing.assert_close(one, sixteen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [UnifiedAutoencoder, SkipAutoencoder])
def test_drawn_masks_belong_to_the_seed_and_end_with_the_block(kind):
    torch.manual_seed(0)
    network, images = kind(TINY).eval(), torch.rand(4, 1, 32, 32)

    def drawn(seed: int):
        with drawn_masks(network, torch.Generator().manual_seed(seed)):
            return network(images).x_hat

    with torch.no_grad():
        plain = network(images).x_hat
        assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))
        assert not torch.equal(drawn(1), plain) and torch.equal(network(images).x_hat, plain)
        with pytest.raises(RuntimeError), drawn_masks(network, torch.Generator()):
            raise RuntimeError
        assert torch.equal(network(images).x_hat, plain), "off again after an error, too"


def test_a_mask_drops_its_share_and_keeps_the_mean():
    generator, ones = torch.Generator().manual_seed(0), torch.ones(2, 4000, 2, 2)
    layer, channels = Dropout(0.3).eval(), SkipDropout(0.5).eval()
    with drawn_masks(torch.nn.ModuleList([layer, channels]), generator):
        elements, whole = layer(ones), channels(ones)
    assert (elements == 0).float().mean() == pytest.approx(0.3, abs=0.02) and elements.mean() == pytest.approx(
        1, abs=0.03
    )
    assert torch.equal(elements[0], elements[1]), "one mask for the whole batch"
    assert (whole.amin(dim=(2, 3)) == whole.amax(dim=(2, 3))).all(), "whole channels"
    assert (whole == 0).float().mean() == pytest.approx(0.5, abs=0.04)


def test_the_mean_of_many_draws_comes_near_the_plain_reconstruction_of_a_linear_network():
    class Linear(torch.nn.Module):
        """Dropout, then a fixed linear map: its mean over masks is the map itself."""

        def __init__(self):
            super().__init__()
            self.drop, self.map = Dropout(0.2), torch.nn.Linear(64, 64, bias=False)

        def forward(self, x):
            from flairline.learning.networks.autoencoders import Output

            return Output(self.map(self.drop(x).flatten(1)).view_as(x))

    torch.manual_seed(0)
    network, images = Linear().eval(), torch.rand(5, 1, 8, 8)
    brains = torch.ones_like(images)
    with torch.no_grad():
        plain = network(images).x_hat

    def apart(n_mc: int) -> float:
        return float((residual_scores(network, images, brains, 4, n_mc=n_mc)[1] - plain).pow(2).mean().sqrt())

    few, many = apart(4), apart(1600)
    assert many < 0.15 * few, "as the square root of the draws: a twentieth"


def test_a_variational_network_samples_in_training_alone():
    torch.manual_seed(0)
    architecture = Architecture(size=32, filters=4, max_filters=8, latent=8, bottleneck="vae", norm="none", dropout=0.0)
    images = torch.rand(2, 1, 32, 32)
    network, legacy = UnifiedAutoencoder(architecture), UnifiedAutoencoder(architecture, sample_always=True).eval()
    assert not torch.equal(network.train()(images).x_hat, network(images).x_hat)
    assert torch.equal(network.eval()(images).x_hat, network(images).x_hat)
    assert not torch.equal(legacy(images).x_hat, legacy(images).x_hat)


def test_an_unbounded_spread_does_not_overflow():
    network = UnifiedAutoencoder(Architecture(size=32, filters=4, max_filters=8, latent=8, bottleneck="vae"))
    with torch.no_grad():
        network.bottleneck.heads[1].bias.fill_(1e4)
        assert torch.isfinite(network(torch.rand(2, 1, 32, 32)).x_hat).all()


# ---- the pyramid ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_pyramid_gives_the_image_back(size):
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(size))
    levels, bands = pyramid.laplacian_pyramid(images)
    assert [level.shape[-1] for level in levels] == [size, size // 2, size // 4, size // 8]
    assert [band.shape[-1] for band in bands] == [size, size // 2, size // 4]
    for found, level in zip(pyramid.collapsed(bands, levels[-1]), levels, strict=False):
        torch.testing.assert_close(found, level, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_with_the_identity_for_each_band_nothing_is_left(size):
    class Same(torch.nn.Module):
        """Gives back what it gets."""

        def forward(self, x):
            from flairline.learning.networks.autoencoders import Output

            return Output(x)

    network = pyramid.PyramidAutoencoder(Architecture(size=size, bottleneck="spatial", filters=2, max_filters=4))
    network.bands = torch.nn.ModuleList(Same() for _ in network.bands)
    images = torch.rand(2, 1, size, size)
    found = network(images)
    torch.testing.assert_close(found.x_hat, images, rtol=0, atol=1e-6)
    assert len(found.scales) == 3


def test_what_is_flat_passes_in_the_lowest_band():
    images = torch.full((1, 1, 64, 64), 0.7)
    levels, bands = pyramid.laplacian_pyramid(images)
    assert all(band.abs().max() < 1e-6 for band in bands) and torch.allclose(levels[-1], torch.tensor(0.7))
