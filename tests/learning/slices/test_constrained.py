"""The constrained autoencoder: its loss by hand, who moves when, and the statistics that stay those of images."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader, TensorDataset

from flairline import registry
from flairline.learning.loop import Budget, train
from flairline.learning.run import TrainingRun


@pytest.fixture
def slices():
    """Eight images with a disc, and where that is."""
    axis = torch.linspace(-1, 1, 32)
    brain = (axis[:, None] ** 2 + axis[None] ** 2 < 0.6).float().expand(8, 1, 32, 32).contiguous()
    return (0.3 + 0.5 * torch.rand(8, 1, 1, 1, generator=torch.Generator().manual_seed(0))) * brain, brain


def objective_of(steps=3, **fields):
    method = registry.load("methods", "constrained_aae")(**fields)
    torch.manual_seed(0)
    return method.objective(method.network(method.architecture("test")), Budget(steps, validate_every=steps), 1e-3)


def moved_by(objective, slices, folder):
    """Which parts each step of an optimiser moved, while the objective trains."""
    steps, move, net = [], objective.move, objective.network
    parts = {"encoder": net.autoencoder.encoder, "decoder": net.autoencoder.decoder, "critic": net.critic}

    def noted(optimizer, loss):
        before = {name: [weight.clone() for weight in part.parameters()] for name, part in parts.items()}
        move(optimizer, loss)
        now = {name: list(part.parameters()) for name, part in parts.items()}
        steps.append({n for n in now if any(not torch.equal(a, b) for a, b in zip(now[n], before[n], strict=True))})

    objective.move = noted
    images = TensorDataset(*(part.repeat(objective.budget.steps, 1, 1, 1) for part in slices))
    _, curve = train(objective, DataLoader(images, 8), DataLoader(images, 8), TrainingRun(folder, device="cpu"))
    assert curve.last_step == objective.budget.steps, "a step is a batch"
    return steps


def test_autoencoder_critic_and_encoder_take_turns(tmp_path, slices):
    steps = moved_by(objective_of(critic_steps=2), slices, tmp_path)
    assert steps == 3 * [{"encoder", "decoder"}, {"critic"}, {"critic"}, {"encoder"}]


def test_without_a_critic_the_autoencoder_learns_alone(tmp_path, slices):
    assert moved_by(objective_of(adversarial=False), slices, tmp_path) == 3 * [{"encoder", "decoder"}]


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_the_loss_by_hand(slices, weight):
    images, objective = slices[0], objective_of(constraint_weight=weight)
    net = objective.network.eval()
    x_hat = net(images).x_hat
    missed = net.encode(images) - net.encode(x_hat)
    expected = (images - x_hat).flatten(1).norm(dim=1) + weight * 0.5 * missed.pow(2).sum(dim=1)
    torch.testing.assert_close(objective.constrained(images), expected.mean())
    means = objective_of(constraint_weight=weight, legacy_means=True)
    means.network.load_state_dict(net.state_dict())
    means.network.eval()
    torch.testing.assert_close(
        means.constrained(images), (images - x_hat).pow(2).mean() + weight * missed.pow(2).mean()
    )


def test_the_constraint_reaches_decoder_and_encoder_but_not_the_running_statistics(slices):
    objective = objective_of(constraint_weight=1e6)
    net = objective.network.train()
    kept = {name: value.clone() for name, value in net.named_buffers()}
    objective.code_again(slices[0])
    assert net.training and all(torch.equal(value, kept[name]) for name, value in net.named_buffers())
    objective.constrained(slices[0]).backward()
    for part in (net.autoencoder.encoder, net.autoencoder.decoder):
        assert all(weight.grad is not None for weight in part.parameters())
    assert not any(weight.grad is not None for weight in net.critic.parameters())


def test_no_slip_is_on_unless_it_is_asked_for():
    """Published code takes the penalty beyond the drawn codes, and means for sums."""
    plain, slipped = objective_of(), objective_of(legacy_extrapolation=True, legacy_means=True)
    assert not plain.slips.legacy_beyond and not plain.constraint.legacy_means
    assert slipped.slips.legacy_beyond and slipped.constraint.legacy_means


def test_weights_are_judged_by_reconstruction(slices):
    objective = objective_of()
    expected = (slices[0] - objective.network.eval()(slices[0]).x_hat).abs().flatten(1).sum(dim=1).mean()
    torch.testing.assert_close(objective.validate(slices), expected)


def test_codes_come_to_look_drawn(tmp_path, slices):
    """The critic's part: without it the codes' spread is whatever reconstruction makes of it."""

    def apart(adversarial):
        objective = objective_of(steps=120, adversarial=adversarial, critic_steps=5, constraint_weight=0.0)
        objective.learning_rate = 3e-3
        with torch.no_grad():  # codes far from zero to begin with
            for head in objective.network.autoencoder.bottleneck.heads:
                head.bias.fill_(4.0)
        images = TensorDataset(*(part.repeat(120, 1, 1, 1) for part in slices))
        run = TrainingRun(tmp_path / str(adversarial), device="cpu")
        train(objective, DataLoader(images, 8), DataLoader(TensorDataset(*slices), 8), run)
        with torch.no_grad():
            return objective.network.eval().encode(slices[0]).mean(dim=0).norm().item()

    assert apart(True) < 0.9 * apart(False)
