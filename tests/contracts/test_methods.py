"""What every method that is found must keep to, whoever wrote it."""

import csv
import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from scipy import ndimage

from flairline import recipes, registry
from flairline.errors import InputError, MissingExtraError, ModelError
from flairline.learning.data import TrainingData
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.methods.base import candidate, giver, load_method, trainable
from flairline.postprocess.recipe import Recipe
from flairline.types import Mask, MethodInfo, Scan, Space, Volume

METHODS = registry.names("methods")


def learns(name: str) -> bool:
    """Whether a method learns from scans; its model is trained here first."""
    try:
        return load_method(name).info.learns_from == "scans"
    except MissingExtraError:
        return False


@pytest.fixture(scope="module")
def brain_scan() -> Scan:
    """An ellipsoid of 3 x 3 x 6 mm voxels with two tissues, a bright block, and rubbish outside the brain."""
    shape, rng = (45, 54, 21), np.random.default_rng(0)
    middle = (np.array(shape) - 1) / 2
    away = [
        (axis - m) / (side / 2 - edge)
        for axis, m, side, edge in zip(np.indices(shape), middle, shape, (4, 4, 2), strict=True)
    ]
    brain = sum(axis**2 for axis in away) <= 1
    texture = ndimage.gaussian_filter(rng.normal(size=shape), (2, 2, 1))
    flair = np.where(texture > 0, 130.0, 100.0) + rng.normal(0, 4, shape)
    flair[12:17, 25:30, 10:13] += 80
    flair[~brain] = rng.normal(500, 100, (~brain).sum())
    affine = np.diag([3.0, 3.0, 6.0, 1.0])
    affine[:3, 3] = -middle * (3, 3, 6)
    space = Space(shape, affine)
    t1 = Volume((300 - flair).astype(np.float32), space)
    return Scan.of("contract", Volume(flair.astype(np.float32), space), Mask(brain, space), t1=t1)


@pytest.fixture(params=METHODS)
def method(request):
    try:
        method = registry.load("methods", request.param)()
    except MissingExtraError as error:
        pytest.skip(str(error))
    asked = candidate(method)
    if asked is not None and asked.obstacle():
        pytest.skip(f"{request.param} cannot run here {asked.obstacle()}")
    return method


@pytest.fixture(scope="module")
def healthy(phantoms) -> TrainingData:
    """Three phantoms without lesions, 4 mm."""
    return TrainingData(phantoms(3))


@pytest.fixture(scope="module")
def models(trained):
    """The folder of a method's model, trained for seconds at 32 x 32 pixels; made once for each family."""
    return lambda method: trained(method.family)


@pytest.fixture
def scorer(method, models):
    """Makes the method's scorer: of its model if it has to learn, else at once."""
    if method.info.extra == "deep":
        pytest.importorskip("torch")
    if method.info.learns_from == "scans":
        return lambda configured=method: configured.load(models(method))
    return lambda configured=method: configured.fit(())


@pytest.fixture(scope="module")
def plain_score(brain_scan, models):
    """The score of `brain_scan` by a method as it is by default; made once for each method."""
    scores = {}

    def score_of(method):
        if method.name not in scores:
            scores[method.name] = method.load(models(method))(brain_scan).array
        return scores[method.name]

    return score_of


@pytest.fixture(params=[name for name in METHODS if learns(name)])
def learned(request):
    """A method that learns from scans."""
    return registry.load("methods", request.param)()


def test_one_slice_is_reconstructed_as_in_the_whole_scan(learned, models, brain_scan):
    """Figure 4 shows one slice of every method that has a reconstruction."""
    scorer = learned.load(models(learned))
    if not learned.info.reconstructs:
        assert not hasattr(scorer, "reconstruction")
        pytest.skip("it does not reconstruct")
    z = brain_scan.space.shape[2] // 2
    whole, alone = scorer.reconstruction(brain_scan), scorer.reconstruction(brain_scan, only=z)
    for image, of_one in zip(whole, alone, strict=True):
        assert of_one.array[:, :, z].any()
        np.testing.assert_allclose(of_one.array[:, :, z], image.array[:, :, z], atol=1e-4)
        assert not np.delete(of_one.array, z, axis=2).any()


def test_its_configuration_is_a_frozen_dataclass_with_defaults(method):
    assert dataclasses.is_dataclass(method)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.anything = 1
    assert type(method)() == method and isinstance(hash(method), int)


def test_it_says_paper_training_and_cost(method):
    assert isinstance(method.info, MethodInfo)
    assert method.info.paper and method.info.training and method.info.cost


def test_it_can_do_what_its_info_says_and_no_more(method):
    """Nobody tries what a method can do: its info says it, so its info must be right."""
    can_train, gives, asked = trainable(method), giver(method), candidate(method)
    assert [hasattr(method, name) for name in ("train", "load", "presets", "family")] == [can_train is not None] * 4
    assert hasattr(method, "recipe") == (gives is not None) and hasattr(method, "obstacle") == (asked is not None)
    if can_train is not None:
        assert "test" in can_train.presets and can_train.family in METHODS
        assert method.info.role in ("learned", "default")
    for name in method.info.recipes:
        assert isinstance(gives.recipe(name), Recipe) and gives.recipe(name).name == name
        assert name not in METHODS or name == method.name, "a recipe that hides another method"
    assert set(method.info.channels) <= {"flair", "t1", "t2"} and "flair" in method.info.channels


def test_it_is_published_under_a_name_that_the_papers_tables_have(method):
    table = files("flairline.benchmarking.paper").joinpath("published", "tables.csv").read_text(encoding="utf-8")
    names = {row["method"] for row in csv.DictReader(table.splitlines())}
    assert method.info.published_as in {"", *names}


def test_its_score_keeps_the_contract(scorer, brain_scan):
    flair, brain = brain_scan.flair.array.copy(), brain_scan.brain.array.copy()
    score = scorer()(brain_scan)
    assert isinstance(score, Volume) and score.space.same_grid(brain_scan.space)
    assert score.array.dtype == np.float32 and np.isfinite(score.array).all()
    assert (score.array[~brain] == 0).all() and score.array[brain].std() > 0
    np.testing.assert_array_equal(brain_scan.flair.array, flair)  # the scan is not changed
    np.testing.assert_array_equal(brain_scan.brain.array, brain)


def test_it_is_deterministic(method, scorer, brain_scan):
    one, two = (scorer(type(method)())(brain_scan).array for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_it_needs_no_t1(scorer, brain_scan):
    score = scorer()(brain_scan.with_images(t1=None))
    assert np.isfinite(score.array).all() and score.array.any()


def test_what_lies_outside_the_brain_does_not_matter(scorer, brain_scan):
    """All that is outside may be noise, zero or anything: a skull, say."""
    cleared = np.where(brain_scan.brain.array, brain_scan.flair.array, np.float32(0))
    t1 = np.where(brain_scan.brain.array, brain_scan.t1.array, np.float32(0))
    space = brain_scan.space
    other = brain_scan.with_images(flair=Volume(cleared, space), t1=Volume(t1, space))
    one, two = (scorer()(scan).array for scan in (brain_scan, other))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_method_that_has_to_learn_says_so(learned):
    with pytest.raises(InputError, match=f"{learned.name} must learn.*flairline fit {learned.family}"):
        learned.fit(())


def test_a_copied_model_gives_the_same_scores(learned, models, plain_score, brain_scan, tmp_path):
    """What was saved is all that a score depends on."""
    copied = shutil.copytree(models(learned), tmp_path / "copy", ignore=shutil.ignore_patterns("training"))
    np.testing.assert_array_equal(learned.load(copied)(brain_scan).array, plain_score(learned))
    assert sorted(path.name for path in copied.iterdir()) == ["config.json", "model_card.md", "weights.safetensors"]


def test_its_batch_does_not_change_the_score(learned, models, plain_score, brain_scan):
    if not hasattr(learned, "batch"):
        pytest.skip("it has no batches")
    assert learned.batch == 16
    batch = 6 if learned.info.iterative else 1  # slice by slice these take a quarter of a minute
    one = replace(learned, batch=batch).load(models(learned))(brain_scan).array
    np.testing.assert_allclose(one, plain_score(learned), rtol=1e-3, atol=2e-5)


def test_several_scans_at_once_score_as_one_by_one(learned, models, plain_score, brain_scan):
    scorer = learned.load(models(learned))
    if not hasattr(scorer, "score_many"):
        pytest.skip("it takes one scan at a time")
    turned = brain_scan.with_images(flair=Volume(brain_scan.flair.array[::-1].copy(), brain_scan.space))
    together = scorer.score_many([brain_scan, turned])
    for alone, score in zip((plain_score(learned), scorer(turned).array), together, strict=True):
        np.testing.assert_allclose(score.array, alone, rtol=1e-3, atol=2e-5)


def test_a_little_training_improves_its_objective(learned, healthy, tmp_path):
    """On 32 x 32 slices of phantoms; judged on slices that it did not train on."""
    if not hasattr(learned, "objective"):
        pytest.skip("it is not trained step by step")
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    from flairline.learning.loop import Budget, train
    from flairline.learning.slices.slice_cache import TrainingSlices, ValidationSlices, store_slices
    from flairline.learning.slices.slices import SliceGrid

    torch.manual_seed(0)
    architecture = learned.architecture("test")
    objective = learned.objective(learned.network(architecture), Budget(60), 3e-3)
    stores = store_slices(healthy, SliceGrid(architecture.size), tmp_path)
    training, held = (next(iter(DataLoader(ValidationSlices(part, 32), 32))) for part in (stores[:2], stores[2:]))

    def judged() -> float:
        objective.eval()
        with torch.no_grad():
            return float(objective.validate(held))

    before = judged()
    if not objective.automatic_optimization:  # players in turn: the loop has their optimisers
        steps = 60 if len(objective.phases) == 1 else 300  # of which the first half is not judged
        objective.budget = Budget(steps, validate_every=steps)
        slices = DataLoader(TrainingSlices(stores[:2], 8 * steps, seed=0), 8)
        train(objective, slices, DataLoader(ValidationSlices(stores[2:], 32), 32), TrainingRun(tmp_path, device="cpu"))
        assert judged() < 0.8 * before
        return
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    for _ in range(60):
        objective.train()
        optimizer.zero_grad()
        objective.loss(training).backward()
        optimizer.step()
    # Two heads teach little of the structure of a third: .90 of what it was, after 60 steps and after 300.
    assert judged() < (0.95 if learned.family == "ssim_ae" else 0.8) * before


def test_its_card_says_what_it_was_made_of(learned, models, healthy):
    text = (models(learned) / "model_card.md").read_text()
    config = json.loads((models(learned) / "config.json").read_text())
    seen = [*config["training"]["scans"], *config["training"]["validation_scans"]]
    assert len(seen) == 3 and all(source["voxels_sha256"] in text for source in seen)
    assert "not for diagnosis" in text and "Licence" in text and "seconds" in text


@pytest.mark.parametrize("harm", ["missing", "cut off", "foreign", "newer", "a pickle", "no network"])
def test_a_harmed_model_gets_one_clear_line(learned, models, brain_scan, tmp_path, harm):
    folder = shutil.copytree(models(learned), tmp_path / "model", ignore=shutil.ignore_patterns("training"))
    config = json.loads((folder / "config.json").read_text())
    if harm == "missing":
        (folder / "config.json").unlink()
    elif harm == "cut off":
        (folder / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:-100])
    elif harm == "a pickle":
        (folder / "weights.safetensors").write_bytes(pickle.dumps({"weights": 1}))
    else:
        changed = {"foreign": {"method": "other"}, "newer": {"format": 99}, "no network": {"grid": {"size": "wide"}}}
        (folder / "config.json").write_text(json.dumps({**config, **changed[harm]}))
    with pytest.raises(ModelError) as error:
        learned.load(folder)(brain_scan)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_every_method_can_be_imported_and_listed_without_torch():
    script = """
import sys
from importlib.machinery import PathFinder
class WithoutDeep(PathFinder):  # as if the extra were not installed
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in ("torch", "monai", "lightning", "safetensors")
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutDeep
from flairline import recipes, registry
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import InputError, MissingExtraError, ModelError
from flairline.learning.data import TrainingData
for name in registry.names("methods"):
    try:
        registry.load("methods", name)
    except MissingExtraError as error:
        print(name, error.extra)
print(*[row["name"] for row in recipes.listing()])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].split() == recipes.names()


def test_a_model_trained_anew_in_the_same_folder_is_read_anew(learned, models, brain_scan, tmp_path):
    """In one process, for every method alike."""
    folder = shutil.copytree(models(learned), tmp_path / "model", ignore=shutil.ignore_patterns("training"))
    scorer = learned.load(folder)
    before = scorer(brain_scan).array
    assert learned.load(folder) is scorer, "nothing changed, so nothing is read again"
    model = ModelFolder(folder)
    changed = {name: np.asarray(array * 0.5, dtype=array.dtype) for name, array in model.arrays().items()}
    model.write(learned.family, {"weights": changed}, model.config(), "")
    os.utime(folder / "config.json", ns=(1, 1))  # whatever the clock's steps are
    assert not np.array_equal(learned.load(folder)(brain_scan).array, before)
