"""The penalty of critics whose gradient is known, and critics whose judgement of an image is its own."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from flairline.learning.networks.autoencoders import Architecture
from flairline.learning.networks.critic import CodeCritic, Critic, Slips, critic_loss, gradient_penalty

TINY = Architecture(size=32, filters=4, max_filters=8, bottom=8)


def pairs(shape=(5, 1, 7, 9), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def linear(shape, seed=1):
    """A critic that is a weight for each pixel."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return weight, lambda images: (images * weight).flatten(1).sum(dim=1)


@pytest.mark.parametrize("shape", [(1, 7, 9), (12,)])
def test_the_penalty_of_a_linear_critic_is_its_lengths_distance_from_one(shape):
    weight, critic = linear(shape)
    penalty = gradient_penalty(critic, *pairs((5, *shape)))
    torch.testing.assert_close(penalty, (weight.norm() - 1) ** 2)
    critic_of_one = linear(shape)[1]
    torch.testing.assert_close(
        gradient_penalty(lambda images: critic_of_one(images) / weight.norm(), *pairs((5, *shape))), torch.tensor(0.0)
    )


def test_the_published_slip_pushes_every_column_to_one():
    weight, critic = linear((1, 7, 9))
    by_column = gradient_penalty(critic, *pairs(), Slips(legacy_by_column=True))
    torch.testing.assert_close(by_column, ((weight.norm(dim=1) - 1) ** 2).mean())
    assert (by_column - gradient_penalty(critic, *pairs())).abs() > 1


def test_the_penalty_lies_between_what_is_real_and_what_was_made():
    real, made = pairs()
    seen = []

    def critic(images):
        seen.append(images.detach())
        return images.flatten(1).sum(dim=1)

    for seed in range(20):
        torch.manual_seed(seed)
        gradient_penalty(critic, real, made)
        gradient_penalty(critic, real, made, Slips(legacy_beyond=True))
    share = torch.stack([(points - real) / (made - real) for points in seen])
    between, beyond = share[::2], share[1::2]
    assert between.min() >= -1e-3 and between.max() <= 1.001 and between.max() - between.min() > 0.9
    assert beyond.max() <= 1e-3 and beyond.min() < -0.9, "the published slip leaves the line on the far side"
    within = between.flatten(2)
    torch.testing.assert_close(within.amax(dim=2), within.amin(dim=2), atol=1e-3, rtol=0, msg="one point for an image")
    assert within[:, :, 0].std(dim=1).min() > 1e-3, "another for each image"


def test_a_critic_learns_to_tell_and_the_penalty_can_be_followed():
    torch.manual_seed(0)
    critic, (real, made) = Critic(TINY), pairs((4, 1, 32, 32))
    loss = critic_loss(critic, real, made, weight=3.0)
    torch.manual_seed(0)
    Critic(TINY)
    torch.testing.assert_close(
        loss, critic(made).mean() - critic(real).mean() + 3.0 * gradient_penalty(critic, real, made)
    )
    loss.backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in critic.encoder.parameters())


def test_a_judgement_does_not_hang_on_the_other_images():
    """Batch norm in a critic would mix them."""
    critic, (images, others) = Critic(TINY).train(), pairs((4, 1, 32, 32))
    mixed = torch.cat([images[:1], others[1:]])
    torch.testing.assert_close(critic(images)[0], critic(mixed)[0])
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in critic.modules())


def test_a_critic_knows_where_things_are_and_the_published_one_does_not():
    """A dense layer on each place alone, averaged, gives the same number for places in any order."""
    torch.manual_seed(0)
    features = torch.rand(1, 8, 8, 8)
    turned = features.flip(dims=(2, 3))
    whole, patch = Critic(TINY), Critic(replace(TINY, legacy_patch_critic=True))
    values = [critic.judge(part).mean() for critic in (whole, patch) for part in (features, turned)]
    assert (values[0] - values[1]).abs() > 1e-3
    torch.testing.assert_close(values[2], values[3])
    assert whole(torch.rand(3, 1, 32, 32)).shape == patch(torch.rand(3, 1, 32, 32)).shape == (3,)


def test_a_critic_of_codes_has_the_published_layers():
    critic = CodeCritic(128)
    assert [tuple(weight.shape) for weight in critic.parameters() if weight.ndim == 2] == [
        *((100, 128), (50, 100), (1, 50)),
    ]
    assert critic(torch.randn(7, 128)).shape == (7,)
