"""The training loop with two optimisers, as a GAN has them: same budget, checkpoints and resuming as with one."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader, TensorDataset

from flairline.learning.loop import Budget, ManualObjective, Objective, steps_done, train
from flairline.learning.run import TrainingRun


class TwoPlayers(ManualObjective):
    """A generator moves its one number to where the critic, which learns the data's mean, pulls it."""

    def __init__(self, budget, stop_at=-1):
        network = torch.nn.ParameterDict({"made": torch.zeros(1), "judged": torch.zeros(1)})
        super().__init__(network, budget, 0.4)
        self.stop_at, self.stepped = stop_at, []

    def configure_optimizers(self):
        return [torch.optim.SGD([self.network[name]], self.learning_rate) for name in ("judged", "made")]

    def loss(self, batch):
        if self.global_step == self.stop_at:
            raise KeyboardInterrupt
        (real,) = batch
        for optimizer, apart in zip(
            self.steppers(),
            (
                lambda: (self.network["judged"] - real.mean()).pow(2).sum(),
                lambda: (self.network["made"] - self.network["judged"].detach()).pow(2).sum(),
            ),
            strict=True,
        ):
            optimizer.zero_grad()
            loss = apart()
            self.manual_backward(loss)
            optimizer.step()
        self.stepped.append(self.global_step)
        return loss

    def validate(self, batch):
        return (self.network["made"] - 3).abs().sum()


def go(folder, steps=60, resume=False, stop_at=-1):
    run = TrainingRun(folder, device="cpu", resume=resume)
    objective = TwoPlayers(Budget(steps, validate_every=20, best=False), stop_at)
    data = DataLoader(TensorDataset(torch.full((steps, 1), 3.0)), 1)
    return *train(objective, data, data, run), objective


def test_two_optimisers_both_learn_and_a_step_is_a_batch(tmp_path):
    state, curve, objective = go(tmp_path)
    assert abs(float(state["judged"]) - 3) < 0.2 and abs(float(state["made"]) - 3) < 0.5
    assert objective.stepped == list(range(1, 61)), "two optimisers, but one step a batch"
    assert curve.steps == [20, 40, 60] and curve.values == sorted(curve.values, reverse=True) and curve.last_step == 60
    rates = [optimizer.param_groups[0]["lr"] for optimizer in objective.optimizers(use_pl_optimizer=False)]
    assert 0 < rates[0] == rates[1] < 0.02, "the rate has fallen to the end of the budget"


def test_a_stopped_training_with_two_optimisers_ends_as_the_whole_one(tmp_path):
    whole, _, _ = go(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "parts", stop_at=12)
    assert steps_done(tmp_path / "parts" / "training") == 12
    parts, curve, _ = go(tmp_path / "parts", resume=True)
    assert curve.last_step == 60
    torch.testing.assert_close(parts, whole)


def test_an_objective_without_its_hooks_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Objective(torch.nn.Linear(1, 1), Budget(1), 0.1)


def test_a_run_leaves_the_device_to_the_method_unless_it_names_one(tmp_path):
    run = TrainingRun(tmp_path)
    assert run.on("cpu").device == "cpu" and replace(run, device="cuda").on("cpu").device == "cuda"


class Phased(TwoPlayers):
    """What it validates means something in its second half alone."""

    phases = (0.5, 1.0)

    def validate(self, batch):
        return torch.tensor(float(self.global_step if self.judged else -1))


def test_only_the_last_phase_is_judged_and_each_begins_at_the_full_rate(tmp_path):
    objective = Phased(Budget(40, validate_every=5, patience=3))
    rates = [objective._rate(step) for step in range(40)]
    assert rates[19] < 0.05 and rates[20] > 0.35 and rates[39] < 0.05, "the warm-up is the whole training's"
    assert [objective._phase(step / 40) for step in (0, 19, 20, 39, 40)] == [0, 0, 1, 1, 1]
    data = DataLoader(TensorDataset(torch.full((40, 1), 3.0)), 1)
    _, curve = train(objective, data, data, TrainingRun(tmp_path, device="cpu"))
    assert curve.steps == [20, 25, 30, 35] and curve.best == 20, "patience, too, begins with the last phase"


def test_players_take_one_device_and_a_lone_optimiser_all_of_them():
    from flairline.learning.loop import _where

    assert _where("cuda", several=True)["devices"] == "auto" and _where("cuda", several=False)["devices"] == 1
    assert _where("cuda:2", several=False)["devices"] == _where("cuda:2", several=True)["devices"] == [2]
