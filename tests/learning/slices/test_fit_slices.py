"""Training on slices: no lesion is seen, nothing is cut twice, and a training that was stopped goes on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader, Dataset

from flairline import registry
from flairline.errors import InputError, ModelError
from flairline.io.nifti import read_volume
from flairline.learning.data import TrainingData
from flairline.learning.loop import Budget, Objective, steps_done, train
from flairline.learning.model import Source
from flairline.learning.run import TrainingRun
from flairline.learning.slices import fit_slices
from flairline.learning.slices.presets import TRAININGS
from flairline.learning.slices.slice_cache import OPEN_SCANS, SliceStore, TrainingSlices, ValidationSlices, store_slices
from flairline.learning.slices.slices import SliceGrid, to_slices

GRID = SliceGrid(32)


@pytest.fixture(scope="module")
def healthy(phantoms):
    """Three phantoms without lesions, 4 mm."""
    return TrainingData(phantoms(3))


@pytest.fixture(scope="module")
def patients(phantoms):
    """Two phantoms with lesions, 4 mm."""
    return phantoms(2, patients=True)


@pytest.fixture(scope="module")
def stores(healthy, tmp_path_factory):
    return store_slices(healthy, GRID, tmp_path_factory.mktemp("slices"))


# ---- slices -------------------------------------------------------------------------------------------------


def test_no_slice_with_a_lesion_is_kept(patients, tmp_path):
    stores = store_slices(TrainingData(patients, lesion_free_slices=True), GRID, tmp_path)
    for case, store in zip(patients, stores, strict=True):
        lesion = read_volume(case.truth).array > 0
        healthy = TrainingData([case], lesion_free_slices=True).read(case)
        slices = to_slices(healthy.scan, GRID)
        free = ~lesion.any(axis=(0, 1))[slices.indices]
        enough = slices.brains.mean(axis=(1, 2)) >= GRID.min_brain_share
        assert 0 < (enough & free).sum() < enough.sum(), "some slices have lesions, some have none"
        np.testing.assert_array_equal(store.images(), slices.images[enough & free].astype(np.float16))


def test_patients_are_refused_without_the_flag(patients, tmp_path):
    with pytest.raises(InputError, match="has lesions by its truth"):
        store_slices(TrainingData(patients), GRID, tmp_path)


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}


def test_slices_are_cut_once(healthy, tmp_path):
    first = store_slices(healthy, GRID, tmp_path)
    before = written(tmp_path)
    assert store_slices(healthy, GRID, tmp_path) == first and written(tmp_path) == before and len(before) == 6


@pytest.mark.parametrize("change", ["grid", "flag", "truth", "brain"])
def test_slices_are_cut_anew_when_what_decides_them_changes(healthy, patients, save, tmp_path, change):
    case = patients[0]
    # A truth of the test's own: it lies in the corner, so that it hides nothing, then in the middle.
    truth = np.zeros(read_volume(case.truth).array.shape, np.uint8)
    affine_of = read_volume(case.truth).space
    data = TrainingData([replace(case, truth=_mask(tmp_path / "truth.nii.gz", truth, affine_of))], True)
    (before,) = store_slices(data, GRID, tmp_path / "slices")
    grid = GRID
    if change == "grid":
        grid = replace(GRID, intensity="equalised")
    elif change == "flag":
        data = replace(data, lesion_free_slices=False)
    elif change == "truth":
        truth[:, :, truth.shape[2] // 2] = 1
        _mask(tmp_path / "truth.nii.gz", truth, affine_of)
    else:
        brain = read_volume(case.brain).array > 0
        brain[: brain.shape[0] // 2] = False
        data = replace(data, cases=[replace(data.cases[0], brain=_mask(tmp_path / "b.nii.gz", brain, affine_of))])
    (after,) = store_slices(data, grid, tmp_path / "slices")
    assert after.folder != before.folder
    if change == "truth":
        assert after.count == before.count - 1


def _mask(path, array, space):
    from flairline.io.nifti import write_mask
    from flairline.types import Mask

    write_mask(path, Mask(array > 0, space))
    return path


def test_every_slice_once_an_epoch_and_a_resumed_order_goes_on(stores):
    n = sum(store.count for store in stores)
    whole = TrainingSlices(stores, 2 * n, seed=3)
    images = [whole[place][0].numpy().tobytes() for place in range(2 * n)]
    assert sorted(images[:n]) == sorted(images[n:]) and images[:n] != images[n:]
    rest = TrainingSlices(stores, n, seed=3, start=7)
    assert [rest[place][0].numpy().tobytes() for place in range(n)] == images[7 : 7 + n]
    other = TrainingSlices(stores, n, seed=4)
    assert [other[place][0].numpy().tobytes() for place in range(n)] != images[:n]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted under /proc")
def test_a_thousand_scans_do_not_take_a_thousand_open_files(tmp_path):
    stores = []
    for number in range(OPEN_SCANS + 50):
        store = SliceStore(tmp_path / f"{number}", Source("set", f"{number}", "", ""), 1)
        store.folder.mkdir()
        np.save(store.folder / "images.npy", np.full((1, 4, 4), number, np.float16))
        np.save(store.folder / "brains.npy", np.ones((1, 4, 4), np.bool_))
        stores.append(store)
    before = len(list(Path("/proc/self/fd").iterdir()))
    slices = ValidationSlices(stores, len(stores))
    values = [int(slices[place][0][0, 0, 0]) for place in range(len(slices))]
    assert values == list(range(len(stores)))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2 * OPEN_SCANS


# ---- training: a stand-in of one weight ----------------------------------------------------------------------


class Numbers(Dataset):
    """Items `start`, `start` + 1, ...; what was asked for is kept."""

    def __init__(self, count, start=0):
        self.count, self.start, self.seen = count, start, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.seen.append(self.start + index)
        return torch.ones(1)


class OneWeight(Objective):
    """The loss is the weight's distance from 1; `at` a step something happens; `judge` says the validation value."""

    def __init__(self, budget, at=-1, what=None, judge=None, rate=1e-2):
        network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(network.weight)
        super().__init__(network, budget, rate)
        self.at, self.what, self.judge = at, what, judge

    def loss(self, batch):
        if self.global_step == self.at:
            if isinstance(self.what, BaseException):
                raise self.what
            return self.network(batch).sum() * float("nan")
        return (self.network(batch) - 1).pow(2).mean()

    def validate(self, batch):
        return (self.network(batch) - 1).pow(2).mean() if self.judge is None else self.judge(self)


def go(folder, budget=None, resume=False, batch=2, **how):
    budget = budget or Budget(12, validate_every=4)
    objective = OneWeight(budget, **how)
    run = TrainingRun(folder, device="cpu", resume=resume)
    numbers = Numbers(budget.steps * batch, steps_done(run.work) * batch if resume else 0)
    loaders = DataLoader(numbers, batch), DataLoader(Numbers(2), 2)
    return *train(objective, *loaders, run), numbers.seen


@pytest.mark.parametrize("what", [RuntimeError("the machine went down"), KeyboardInterrupt()])
def test_a_training_that_was_stopped_goes_on_with_what_it_has_not_seen(tmp_path, what):
    with pytest.raises(type(what)):
        go(tmp_path, at=5, what=what)
    assert steps_done(tmp_path / "training") == 5
    _, curve, seen = go(tmp_path, resume=True)
    assert seen == list(range(10, 24)) and curve.last_step == steps_done(tmp_path / "training") == 12
    assert curve.steps[0] == 4 and curve.steps == sorted(curve.steps)
    _, again, seen = go(tmp_path, resume=True)
    assert seen == [] and again.values == curve.values and again.best == curve.best, "nothing is left to do"


def test_ctrl_c_still_works_afterwards(tmp_path):
    import signal

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, at=1, what=KeyboardInterrupt())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stopped_training_ends_as_the_whole_one(tmp_path):
    go(tmp_path / "whole")
    with pytest.raises(RuntimeError):
        go(tmp_path / "parts", at=5, what=RuntimeError())
    go(tmp_path / "parts", resume=True)
    whole, parts = (
        torch.load(tmp_path / name / "training" / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert whole["global_step"] == parts["global_step"] == 12
    torch.testing.assert_close(whole["state_dict"], parts["state_dict"])


def test_the_budget_in_minutes_ends_a_training(tmp_path):
    _, curve, _ = go(tmp_path, Budget(100_000, max_minutes=0.5 / 60, validate_every=100_000))
    assert 0 < curve.last_step < 100_000 and curve.seconds < 120
    _, more, seen = go(tmp_path, Budget(100_000, max_minutes=0.5 / 60, validate_every=100_000), resume=True)
    assert more.last_step <= curve.last_step + 1 and len(seen) <= 4, "the minutes before count"


def test_the_best_weights_come_back_not_the_last(tmp_path):
    values = {4: 3.0, 8: 1.0, 12: 2.0, 16: 2.0, 20: 2.0}
    weights = {}

    def judge(objective):
        weights[objective.global_step] = objective.network.weight.detach().clone()
        return torch.tensor(values[objective.global_step])

    state, curve, _ = go(tmp_path, Budget(20, validate_every=4, patience=2), judge=judge)
    assert curve.steps == [4, 8, 12, 16] and curve.last_step == 16, "stopped early, after two without improvement"
    assert curve.best == 1.0
    assert torch.equal(state["weight"], weights[8]) and not torch.equal(state["weight"], weights[16])


def test_the_last_weights_come_back_where_they_are_wanted(tmp_path):
    weights = {}

    def judge(objective):
        weights[objective.trainer.global_step] = objective.network.weight.detach().clone()
        return torch.tensor({4: 1.0, 8: 2.0}[objective.trainer.global_step])

    state, curve, _ = go(tmp_path, Budget(8, validate_every=4, best=False), judge=judge)
    assert curve.values == [1.0, 2.0] and curve.best == 1.0
    assert torch.equal(state["weight"], weights[8]) and not torch.equal(state["weight"], weights[4])


@pytest.mark.parametrize(("last", "kept"), [(0.5, 10), (2.0, 8)])
def test_the_last_weights_are_validated_though_the_budget_ends_between_two_validations(tmp_path, last, kept):
    values = {4: 3.0, 8: 1.0, 10: last}
    weights = {}

    def judge(objective):
        step = objective.trainer.global_step
        weights[step] = objective.network.weight.detach().clone()
        return torch.tensor(values[step])

    state, curve, _ = go(tmp_path, Budget(10, validate_every=4), judge=judge)
    assert (curve.steps, curve.values) == ([4, 8, 10], [3.0, 1.0, last])
    assert curve.best == min(values.values())
    assert torch.equal(state["weight"], weights[kept])


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_the_checkpoint_before_it(tmp_path):
    with pytest.raises(RuntimeError):
        go(tmp_path, at=3, what=RuntimeError())
    with pytest.raises(ModelError, match=r"became nan at step 6.*--resume") as error:
        go(tmp_path, resume=True, at=6)
    assert "\n" not in str(error.value) and steps_done(tmp_path / "training") == 3


def test_a_training_that_begins_again_forgets_the_one_before(tmp_path):
    go(tmp_path)
    assert steps_done(tmp_path / "training") == 12
    with pytest.raises(ModelError):
        go(tmp_path, at=2)  # ends before its first checkpoint, as one that is killed
    assert steps_done(tmp_path / "training") == 0, "--resume would go on from the other training"


@pytest.mark.parametrize("harm", ["cut off", "a pickle", "empty", "foreign"])
def test_a_harmed_checkpoint_gets_one_line_and_no_pickle_is_run(tmp_path, harm):
    go(tmp_path)
    last = tmp_path / "training" / "checkpoints" / "last.ckpt"
    if harm == "a pickle":
        torch.save({"global_step": 3, "code": Evil(tmp_path / "ran")}, last)
    elif harm == "foreign":
        torch.save({"weights": torch.ones(1)}, last)
    else:
        last.write_bytes(last.read_bytes()[: 300 if harm == "cut off" else 0])
    with pytest.raises(ModelError, match=r"last\.ckpt is broken or no checkpoint") as error:
        go(tmp_path, resume=True)
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_checkpoints_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    go(tmp_path, Budget(4, validate_every=2))
    last = tmp_path / "training" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flairline.io.files.os.replace", fails)
    with pytest.raises(Exception, match="No space left"):
        go(tmp_path, Budget(8, validate_every=2), resume=True)
    assert last.read_bytes() == before
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


# ---- the whole of it -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(healthy, tmp_path_factory):
    """A `vae` of the preset test."""
    folder = tmp_path_factory.mktemp("vae") / "model"
    registry.load("methods", "vae")().train(
        replace(healthy, licences=("phantom: none",)), TrainingRun(folder, "test", max_minutes=1)
    )
    return folder


def test_a_training_leaves_logs_checkpoints_and_a_curve(model):
    work = model / "training"
    assert list((work / "logs").glob("events.out.tfevents.*"))
    assert {path.name for path in (work / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    curve, config = json.loads((work / "curve.json").read_text()), json.loads((model / "config.json").read_text())
    assert curve["steps"] == [20, 40] and config["training"]["steps"] == 40
    assert config["training"]["best"] == pytest.approx(min(curve["values"]))
    card = (model / "model_card.md").read_text()
    assert "Given as healthy" in card and "phantom: none" in card and f"{config['training']['best']:.4f}" in card


def test_the_weights_are_those_of_the_best_checkpoint(model):
    from safetensors.torch import load_file

    stored = torch.load(model / "training" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    saved = load_file(model / "weights.safetensors")
    assert saved and all(torch.equal(tensor, stored[f"network.{name}"]) for name, tensor in saved.items())


def test_quantiles_of_healthy_brain_rise_and_are_the_methods_own(model):
    quantiles = json.loads((model / "config.json").read_text())["healthy_quantiles"]
    assert list(quantiles) == ["vae"]
    values = list(quantiles["vae"].values())
    assert values == sorted(values) and 0 < values[0] < values[-1]


@pytest.mark.parametrize(("seed", "grid"), [(1, None), (0, SliceGrid(32, "equalised"))])
def test_only_the_same_training_goes_on(model, healthy, seed, grid):
    vae = registry.load("methods", "vae")()
    with pytest.raises(InputError, match=r"is another one \((seed|intensity) changed\)") as error:
        fit_slices.fit_slices(vae, healthy, TrainingRun(model, "test", resume=True, seed=seed), grid)
    assert "\n" not in str(error.value)


def test_a_resumed_training_begins_at_its_step_with_unseen_slices(healthy, tmp_path, monkeypatch):
    vae, begun, asked = registry.load("methods", "vae")(), [], []

    class Watched(TrainingSlices):
        def __init__(self, stores, count, seed, start=0):
            begun.append(start)
            super().__init__(stores, count, seed, start)

        def __getitem__(self, place):
            asked.append(self.start + place)
            if len(asked) == 4 * 10 and len(begun) == 1:
                raise KeyboardInterrupt
            return super().__getitem__(place)

    monkeypatch.setattr(fit_slices, "TrainingSlices", Watched)
    with pytest.raises(KeyboardInterrupt):
        vae.train(healthy, TrainingRun(tmp_path / "model", "test", max_minutes=1))
    assert not (tmp_path / "model" / "config.json").exists()
    done = steps_done(tmp_path / "model" / "training")
    assert 0 < done < 10
    asked.clear()
    vae.train(healthy, TrainingRun(tmp_path / "model", "test", max_minutes=1, resume=True))
    assert begun == [0, 4 * done] and asked == list(range(4 * done, 4 * 40))
    assert json.loads((tmp_path / "model" / "config.json").read_text())["training"]["steps"] == 40


def test_the_device_of_the_method_trains(healthy, tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(fit_slices, "train", lambda *given: used.append(given[3].device) or (_ for _ in ()).throw(Stop))
    vae = registry.load("methods", "vae")(device="cpu")
    with pytest.raises(Stop):
        vae.train(healthy, TrainingRun(tmp_path / "model", "test"))
    assert used == ["cpu"]
    with pytest.raises(InputError, match="Wanted the device 'banana', but this machine has"):
        vae.train(healthy, TrainingRun(tmp_path / "model", "test", device="banana"))


@pytest.mark.parametrize("device", ["cpu:0", "cpu:1", "cuda:99", "cpu:x"])
def test_a_device_by_number_trains_or_is_refused(healthy, tmp_path, device):
    vae = registry.load("methods", "vae")()
    if device == "cpu:0":
        vae.train(healthy, TrainingRun(tmp_path / "model", "test", 0.01, device))
        assert (tmp_path / "model" / "config.json").exists()
        return
    with pytest.raises(InputError, match=f"Wanted the device '{device}', but this machine has"):
        vae.train(healthy, TrainingRun(tmp_path / "model", "test", device=device))


def test_a_broken_note_of_the_training_gets_one_line(model, healthy, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    (folder / "training" / "setup.json").write_text("{")
    with pytest.raises(ModelError, match=r"setup\.json is broken, so the training cannot go on") as error:
        registry.load("methods", "vae")().train(healthy, TrainingRun(folder, "test", resume=True))
    assert "\n" not in str(error.value)


def test_the_same_seed_trains_the_same_weights(model, healthy, tmp_path):
    again = tmp_path / "model"
    registry.load("methods", "vae")().train(healthy, TrainingRun(again, "test", max_minutes=1))
    assert (again / "weights.safetensors").read_bytes() == (model / "weights.safetensors").read_bytes()


class Stop(Exception):
    """Far enough."""


def test_a_constant_rate_stays_and_a_falling_one_falls():
    method = registry.load("methods", "vae")()
    network = torch.nn.Linear(1, 1)
    constant = method.objective(network, Budget(100, schedule="constant"), 0.5).configure_optimizers()
    assert constant.param_groups[0]["lr"] == 0.5 and constant.param_groups[0]["betas"] == (0.5, 0.999)
    falling = method.objective(network, Budget(100), 0.5)
    rates = [falling._rate(step) for step in (60, 80, 99)]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.01


def test_the_paper_presets_budget_is_in_epochs_the_others_in_steps():
    paper = fit_slices._budget(TRAININGS["paper"], slices=80, max_minutes=5)
    assert (paper.steps, paper.validate_every, paper.patience, paper.schedule) == (10_000, 10, 5, "constant")
    small = fit_slices._budget(TRAININGS["small"], slices=80, max_minutes=5)
    assert (small.steps, small.validate_every, small.schedule) == (20_000, 100, "cosine")
