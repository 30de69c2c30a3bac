"""Players in turn: each step moves one of them, the loop counts batches, and only reconstruction is judged."""

import copy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader, TensorDataset

from flairline import registry
from flairline.learning.loop import Budget, steps_done, train
from flairline.learning.run import TrainingRun


@pytest.fixture
def slices():
    """Eight images with a brighter disc each, and where they are not zero."""
    axis = torch.linspace(-1, 1, 32)
    brain = (axis[:, None] ** 2 + axis[None] ** 2 < 0.6).float().expand(8, 1, 32, 32).contiguous()
    return (0.3 + 0.5 * torch.rand(8, 1, 1, 1, generator=torch.Generator().manual_seed(0))) * brain, brain


def objective_of(name, steps=8, **fields):
    method = registry.load("methods", name)(**fields)
    torch.manual_seed(0)
    return method.objective(method.network(method.architecture("test")), Budget(steps, validate_every=2), 1e-3)


def go(folder, objective, slices, resume=False):
    run = TrainingRun(folder, device="cpu", resume=resume)
    count = -(-objective.budget.steps // 2)
    images, brains = (part.repeat(count, 1, 1, 1) for part in slices)
    left = 4 * (objective.budget.steps - (steps_done(run.work) if resume else 0))
    return train(
        objective,
        DataLoader(TensorDataset(images[:left], brains[:left]), 4),
        DataLoader(TensorDataset(*slices), 8),
        run,
    )


class Watched:
    """Which parts of a network have moved since it was last asked."""

    def __init__(self, network):
        self.network, self.before = network, self.weights(network)

    @staticmethod
    def weights(network):
        return {name: copy.deepcopy(list(part.parameters())) for name, part in network.named_children()}

    def moved(self):
        now = self.weights(self.network)
        names = {n for n in now if any(not torch.equal(a, b) for a, b in zip(now[n], self.before[n], strict=True))}
        self.before = now
        return names


def watch(objective, what):
    """Note which parts each batch of an objective has moved."""
    watched, loss = Watched(objective.network), objective.loss

    def noted(batch):
        value = loss(batch)
        what.append(watched.moved())
        return value

    objective.loss = noted


# ---- a generator and its inversion -------------------------------------------------------------------------


def test_the_generator_plays_first_and_the_encoder_inverts_it_frozen(tmp_path, slices):
    objective, moved = objective_of("fanogan", critic_steps=2), []
    watch(objective, moved)
    _, curve = go(tmp_path, objective, slices)
    both = {"critic", "generator"}
    assert moved == [{"critic"}, both, {"critic"}, both, *[{"encoder"}] * 4]
    assert curve.last_step == 8, "a step is a batch, whoever moved"
    assert curve.steps == [4, 6, 8], "nothing is judged before there is an encoder"


def test_a_game_that_was_stopped_goes_on_where_it_was(tmp_path, slices):
    first = objective_of("fanogan", critic_steps=2)
    loss = first.loss

    def stopped(batch):
        if first.global_step == 5:
            raise KeyboardInterrupt
        return loss(batch)

    first.loss = stopped
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, first, slices)
    assert steps_done(tmp_path / "training") == 5
    again, moved = objective_of("fanogan", critic_steps=2), []
    watch(again, moved)
    _, curve = go(tmp_path, again, slices, resume=True)
    assert moved[0] >= {"encoder"} and moved[1:] == [{"encoder"}] * 2 and curve.last_step == 8


def test_the_encoder_lowers_image_and_feature_errors(slices):
    objective = objective_of("fanogan", feature_weight=0.5)
    net = objective.network.eval()
    images, made = slices[0], net(slices[0]).x_hat
    of_features = (net.critic.features(images) - net.critic.features(made)).pow(2).mean()
    torch.testing.assert_close(objective.inversion(images), (images - made).pow(2).mean() + 0.5 * of_features)


@pytest.mark.parametrize("name", ["fanogan", "anovaegan"])
def test_weights_are_judged_by_the_reconstruction_of_healthy_slices(name, slices):
    objective = objective_of(name)
    net = objective.network.eval()
    expected = (slices[0] - net(slices[0]).x_hat).abs().flatten(1).sum(dim=1).mean()
    torch.testing.assert_close(objective.validate(slices), expected)
    with torch.no_grad():
        for weight in net.critic.parameters():
            weight.mul_(3)
    torch.testing.assert_close(objective.validate(slices), expected, msg="whatever the critic says")


@pytest.mark.parametrize("name", ["fanogan", "anovaegan"])
def test_no_slip_is_on_unless_it_is_asked_for(name):
    plain = objective_of(name)
    assert plain.slips == type(plain.slips)() and plain.network.critic.judge.kernel_size != (1, 1)
    slipped = objective_of(name, legacy_penalty_by_column=True, legacy_patch_critic=True)
    assert slipped.slips.legacy_by_column and slipped.network.critic.judge.kernel_size == (1, 1)


def test_a_model_with_a_patch_critic_is_read_as_one(tmp_path, trained, phantoms):
    from flairline.learning.data import TrainingData
    from flairline.learning.model import ModelFolder

    method = registry.load("methods", "fanogan")
    slipped = replace(method(), legacy_patch_critic=True)
    slipped.train(TrainingData(phantoms(3)), TrainingRun(tmp_path / "model", "test", max_minutes=0.02))
    method().load(tmp_path / "model").warm()
    assert ModelFolder(tmp_path / "model").config()["architecture"]["legacy_patch_critic"]


# ---- an autoencoder and its critic ---------------------------------------------------------------------------


def test_every_batch_moves_autoencoder_generator_and_critic(tmp_path, slices):
    objective, moved, steps = objective_of("anovaegan", steps=3, critic_steps=2), [], []
    move = objective.move

    def noted(optimizer, loss):
        watched = Watched(objective.network)
        move(optimizer, loss)
        steps.append(watched.moved())

    objective.move = noted
    watch(objective, moved)
    _, curve = go(tmp_path, objective, slices)
    assert steps == 3 * [{"encoder", "generator"}, {"generator"}, {"critic"}, {"critic"}] and curve.last_step == 3
    assert curve.steps == [2, 3], "it is judged from the beginning"


def test_the_bound_is_l1_and_kl_each_summed(slices):
    objective = objective_of("anovaegan")
    found = objective.network.eval()(slices[0])
    q = torch.distributions.Normal(found.mu, found.log_sigma.exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    l1 = (slices[0] - found.x_hat).abs().flatten(1).sum(dim=1)
    torch.testing.assert_close(objective.bound(slices[0], found), (l1 + kl).mean())


def test_the_spatial_code_of_the_first_paper_can_be_asked_for(tmp_path, slices):
    objective = objective_of("anovaegan", steps=2, bottleneck="spatial", critic_steps=1)
    assert objective.network(slices[0]).mu.shape == (8, 8, 16, 16)
    _, curve = go(tmp_path, objective, slices)
    assert curve.last_step == 2
