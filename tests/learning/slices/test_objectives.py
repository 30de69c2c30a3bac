"""Losses against what can be worked out, and the squares that are cut out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from flairline.learning.loop import Budget
from flairline.learning.networks.autoencoders import Architecture, Output, UnifiedAutoencoder
from flairline.learning.slices.corruptions import context_mask
from flairline.learning.slices.objectives import (
    Context,
    ContextElbo,
    Elbo,
    Reconstruct,
    context_l1,
    kl,
    l1,
    total_variation,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UnifiedAutoencoder(Architecture(size=32, filters=4, max_filters=8, latent=8, bottleneck="vae")).eval()


@pytest.fixture
def batch():
    """Three images, each with a brain in another corner."""
    generator = torch.Generator().manual_seed(0)
    brains = torch.zeros(3, 1, 32, 32)
    brains[0, 0, 2:20, 3:15] = brains[1, 0, 10:31, 8:30] = brains[2, 0, 5:28, 4:27] = 1
    return (0.2 + 0.8 * torch.rand(3, 1, 32, 32, generator=generator)) * brains, brains


def test_kl_is_that_of_the_normal_distributions():
    mu, log_sigma = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mu, log_sigma.exp()), normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(kl(mu, log_sigma), expected)
    assert kl(torch.zeros(2, 7), torch.zeros(2, 7)).tolist() == [0, 0]


def test_total_variation_by_hand():
    image = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, -1.0]])[None, None]
    assert total_variation(image).item() == (1 + 2 + 0 + 3) + (2 + 1 + 4)
    both = total_variation(torch.cat([image, torch.ones_like(image)]))
    assert both.tolist() == [13, 0], "each image for itself"


def test_l1_is_summed_over_pixels_image_by_image():
    images = torch.stack([torch.zeros(1, 4, 5), torch.ones(1, 4, 5)])
    assert l1(images, torch.full_like(images, 0.25)).tolist() == [5, 15]


def test_every_scale_counts():
    objective = Reconstruct(torch.nn.Identity(), Budget(1), 1e-3)
    fine, coarse = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 2, 2)
    found = Output(fine + 1, scales=((fine + 1, fine), (coarse + 0.5, coarse)))
    assert objective.of(fine, found).item() == 16 + 2
    assert objective.of(fine, Output(fine + 1)).item() == 16


def test_the_bound_is_the_sum_of_its_parts(network, batch):
    found = network(batch[0])
    parts = l1(batch[0], found.x_hat).mean(), kl(found.mu, found.log_sigma).mean()
    for weight in (1.0, 0.25):
        loss = Elbo(network, Budget(1), 1e-3, weight).validate(batch)
        torch.testing.assert_close(loss, parts[0] + weight * parts[1])


def test_the_context_bound_is_the_sum_of_its_parts(network, batch):
    bound = Elbo(network, Budget(1), 1e-3).validate(batch)
    context = Context(network, Budget(1), 1e-3).validate(batch)
    torch.testing.assert_close(ContextElbo(network, Budget(1), 1e-3).validate(batch), bound + context)
    masked = context_mask(*batch, torch.Generator().manual_seed(0))
    by_hand = l1(batch[0], network(masked).x_hat).mean()  # in eval mode the network takes the mean
    torch.testing.assert_close(context, by_hand)


def test_the_context_target_is_the_image_before_the_cut(network, batch):
    images, brains = batch
    masked = context_mask(images, brains, torch.Generator().manual_seed(3))
    x_hat = network(masked).x_hat
    torch.testing.assert_close(context_l1(network, batch, 3), l1(images, x_hat).mean())
    torch.testing.assert_close(context_l1(network, batch, 3, masked_target=True), l1(masked, x_hat).mean())
    assert not torch.allclose(l1(images, x_hat), l1(masked, x_hat))


def test_squares_lie_in_the_brains_box_and_differ_between_samples(batch):
    images, brains = batch
    before, counts = images.clone(), set()
    for seed in range(30):
        masked = context_mask(images, brains, torch.Generator().manual_seed(seed))
        cut = (masked != images)[:, 0].numpy()
        assert torch.equal(images, before) and (masked[torch.from_numpy(cut)[:, None]] == 0).all()
        for number, hole in enumerate(cut):
            rows, columns = np.nonzero(brains[number, 0].numpy())
            box = np.zeros((32, 32), bool)
            box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
            assert hole.any() and not (hole & ~box).any()
            assert 25 <= hole.sum() <= 3 * 25, "one to three squares of 20 * 32 / 128 = 5 pixels"
            counts.add(int(hole.sum()))
        assert not (cut[0] == cut[1]).all() and not (cut[1] == cut[2]).all()
    assert {25, 50, 75} <= counts


def test_a_slice_without_brain_is_left_alone():
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(context_mask(images, torch.zeros_like(images), torch.Generator()), images)


def test_the_same_seed_cuts_the_same_squares(batch):
    one, two, other = (context_mask(*batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_the_error_is_that_of_a_brains_pixel_without_dropout(network, batch):
    images, brains = batch
    objective = Reconstruct(network, Budget(1), 1e-3)
    expected = ((images - network(images).x_hat).abs() * brains).sum() / brains.sum()
    network.train()
    torch.testing.assert_close(objective.l1(batch), expected)
    assert network.training
