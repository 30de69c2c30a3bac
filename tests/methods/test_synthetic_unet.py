"""The shipped network, its training on tiny label maps, and its model folder."""

import dataclasses
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flairline import recipes
from flairline.errors import InputError, ModelError
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.label_maps import LabelMaps
from flairline.methods import synthetic_unet
from flairline.synthesis.phantom import Lesion, phantom
from flairline.synthesis.scan_store import Head
from flairline.types import Mask, Scan, Space, Volume

pytest.importorskip("torch")
pytest.importorskip("monai")


@pytest.fixture(scope="module")
def patient():
    return phantom(11, 2.0, [Lesion("tumour"), *[Lesion("periventricular")] * 3])


@pytest.fixture(scope="module")
def score(patient) -> Volume:
    return synthetic_unet.Method().fit(())(patient[0])


def test_score_is_a_probability_inside_the_brain(patient, score):
    scan, _, _ = patient
    assert score.array.shape == scan.space.shape
    assert score.array.dtype == np.float32
    assert score.array.min() >= 0
    assert score.array.max() <= 1
    assert not score.array[~scan.brain.array].any()


def test_default_finds_bright_lesions_of_a_phantom(patient):
    scan, truth, _ = patient
    recipe = recipes.load("default")
    assert recipe.method == "synthetic_unet"
    assert "extra deep is installed" in recipe.why
    assert recipe.threshold is not None
    mask, threshold = recipe.mask(recipe.scorer()(scan), scan.brain, recipe.threshold)
    overlap = 2 * (mask.array & truth.array).sum() / (mask.array.sum() + truth.array.sum())
    assert overlap > 0.5
    assert "synthetic" in threshold.chosen_on


def test_default_leaves_a_healthy_phantom_nearly_empty():
    scan, _, _ = phantom(12, 2.0, [])
    recipe = recipes.load("default")
    assert recipe.threshold is not None
    assert recipe.mask(recipe.scorer()(scan), scan.brain, recipe.threshold)[0].volume_ml <= 2.0


def test_without_its_packages_the_default_needs_no_training(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "monai" else find_spec(name))
    recipe = recipes.load("default")
    assert recipe.method == "local_zscore"
    assert recipe.why == (
        "the best rule without training, because monai is missing (pip install 'flairline[deep]' adds it)"
    )
    monkeypatch.undo()
    monkeypatch.setattr(synthetic_unet, "SHIPPED", Path("no such folder"))
    assert recipes.load("default").why == "the best rule without training, for lack of weights"


def test_units_of_the_scan_do_not_matter(patient, score):
    scan, _, _ = patient
    other = scan.with_images(flair=Volume(scan.flair.array * np.float32(0.01) - np.float32(2), scan.space))
    np.testing.assert_allclose(synthetic_unet.Method().fit(())(other).array, score.array, atol=0.05)


@pytest.mark.parametrize("orientation", ["LAS", "LPS", "oblique"])
def test_how_the_file_lies_on_disk_does_not_matter(orientation, score):
    scan, _, _ = phantom(11, 2.0, [Lesion("tumour"), *[Lesion("periventricular")] * 3], orientation)
    np.testing.assert_allclose(synthetic_unet.Method().fit(())(scan).array, score.array, atol=1e-4)


def test_padding_moves_no_byte_of_a_brain_that_the_grid_cuts_off():
    scan, _, _ = phantom(11, 4.0)
    first = int(np.flatnonzero(scan.brain.array.any(axis=(0, 1)))[0])
    before, after = (3, 8, 6), (9, 2, 5)

    def on_grid(make):
        flair, brain = make(scan.flair.array[:, :, first + 1 :]), make(scan.brain.array[:, :, first + 1 :])
        space = Space(flair.shape, scan.space.vox_to_ras)
        return Scan.of("cut", Volume(flair, space), Mask(brain, space))

    scorer = synthetic_unet.Method().fit(())
    cut = scorer(on_grid(lambda array: array)).array
    padded = scorer(on_grid(lambda array: np.pad(array, list(zip(before, after, strict=True))))).array
    where = tuple(slice(start, start + side) for start, side in zip(before, cut.shape, strict=True))
    assert cut[:, :, 0].any()
    np.testing.assert_array_equal(padded[where], cut)


def test_shipped_weights_are_small_and_say_what_they_are():
    weights = synthetic_unet.SHIPPED / "weights.safetensors"
    assert weights.stat().st_size < 15e6
    card = (synthetic_unet.SHIPPED / "model_card.md").read_text()
    assert "not stated" in card
    assert "has never seen a lesion that a person drew" in " ".join(card.split())
    seen = ModelFolder(synthetic_unet.SHIPPED).sources()
    assert len(seen) == 20 and all(f"{scan.dataset} {scan.subject}" in card for scan in seen)


def train(paths, folder: Path, shapes=(), preset: str = "test", **options) -> None:
    """Train on label maps, on the CPU, in one process beside this one."""
    run = TrainingRun(folder, preset, workers=1, **{**options, "start": tuple(options.get("start", ()))})
    synthetic_unet.Method(device="cpu").train(LabelMaps(tuple(paths), tuple(shapes)), run)


def label_map(shift: int) -> np.ndarray:
    """A head of a few numbers: white matter in cortex in CSF in skin, with a ventricle; unequal sides."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in (50, 54, 46)), indexing="ij")
    r = np.sqrt(((x - 25) / 24) ** 2 + ((y - 27 - shift) / 25) ** 2 + ((z - 23) / 22) ** 2)
    labels = np.zeros(r.shape, np.float32)
    for limit, number in ((0.95, 515), (0.85, 24), (0.75, 3), (0.6, 2), (0.2, 4)):
        labels[r < limit] = number
    return labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, list[Path]]:
    """A model of four steps and its label maps."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("fit")
    paths = []
    for number in range(3):
        paths.append(folder / f"labels{number}.nii.gz")
        nib.save(nib.Nifti1Image(label_map(number), np.eye(4)), paths[-1])
    train(paths, folder / "model", max_minutes=2.0)
    return folder / "model", paths


def test_training_writes_a_folder_that_scores(trained, patient):
    folder, _ = trained
    config = json.loads((folder / "config.json").read_text())
    assert config["lesion_shapes"] == "random"
    assert len(config["sources"]) == 3
    found = synthetic_unet.Method(device="cpu").load(folder)(patient[0]).array
    assert np.isfinite(found).all()
    recipe = recipes.load(f"synthetic_unet={folder}")
    np.testing.assert_array_equal(recipe.scorer()(patient[0]).array, found)


def test_the_card_lists_the_average_brain_where_it_was_learned_from(trained):
    from flairline.learning.volumes.sizes import SIZES
    from flairline.learning.volumes.write_unet import card

    assert all(size.template for name, size in SIZES.items() if name != "test")
    config = json.loads((trained[0] / "config.json").read_text())
    assert "nilearn's wheel" not in card("synthetic_unet", config).render()
    config["size"]["template"] = True
    assert "average brain in nilearn's wheel (MNI152 2009a" in card("synthetic_unet", config).render()


def test_the_average_brain_is_learned_from_and_not_held_out(trained, tmp_path, monkeypatch):
    from flairline.learning.volumes import fit_unet

    marked = np.full((3, 3, 3), 9, np.uint8)
    seen, size = [], dataclasses.replace(fit_unet.SIZES["test"], template=True)
    monkeypatch.setattr(fit_unet, "mni_classes", lambda: marked)
    monkeypatch.setattr(fit_unet, "head_of", lambda classes: Head(classes, np.eye(4)))
    monkeypatch.setitem(fit_unet.SIZES, "test", size)

    def stop_after_two(folder, heads, *_):
        seen.append([head.classes.shape == marked.shape for head in heads])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(fit_unet, "fill_cache", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train(trained[1], tmp_path / "model")
    assert seen == [[False, True], [False, False]]


def test_training_resumes_from_its_checkpoint_with_its_seed(trained):
    from flairline.learning.loop import steps_done

    folder, paths = trained
    before = (folder / "weights.safetensors").read_bytes()
    assert steps_done(folder / "training") == 4
    train(paths, folder, max_minutes=2.0, resume=True)
    assert (folder / "weights.safetensors").read_bytes() == before  # all its steps were done already


def test_a_label_map_that_cannot_be_read_is_left_out_and_said(trained, tmp_path, monkeypatch):
    from flairline.learning.volumes import fit_unet

    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(trained[1][0].read_bytes()[:200])
    told, setups = [], []
    monkeypatch.setattr(TrainingRun, "note_setup", lambda run, setup, done: setups.append(setup))
    monkeypatch.setattr(fit_unet, "fill_cache", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train([broken, *trained[1]], tmp_path / "model", left_out=lambda scan, why: told.append((scan, why)))
    assert [scan for scan, _ in told] == ["broken.nii.gz"] and "\n" not in told[0][1]
    assert len(setups[0]["label maps"]) == 3
    with pytest.raises(InputError, match="at least 3 label maps"):
        train([broken, *trained[1][1:]], tmp_path / "fewer")


@pytest.mark.parametrize("change", ["seed", "label maps", "shapes"])
def test_synthetic_scans_of_another_training_are_not_used(trained, tmp_path, monkeypatch, change):
    """The folder has scans already; what config.json says was learned from must be what was."""
    from flairline.learning.volumes import fit_unet

    def far_enough(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(fit_unet.SIZES, "test", dataclasses.replace(fit_unet.SIZES["test"], scans=0))
    monkeypatch.setattr(fit_unet, "train", far_enough)
    paths, work = trained[1], tmp_path / "model" / "training"

    def made(paths, **options) -> tuple[set[str], set[str]]:
        """Folders of scans after a training: to learn from, and held out."""
        with pytest.raises(KeyboardInterrupt):
            train(paths, tmp_path / "model", **options)
        return tuple({path.name for path in (work / part).iterdir()} for part in ("scans", "held_out"))

    before = made(paths)
    assert [len(part) for part in before] == [1, 1] and made(paths) == before, "the same training, the same scans"
    shapes = [lesion_shape(tmp_path / "s.nii.gz")]
    options = {"seed": {"seed": 9}, "label maps": {}, "shapes": {"shapes": shapes}}[change]
    after = made(paths[::-1] if change == "label maps" else paths, **options)
    assert [len(part) for part in after] == [2, 2]


def lesion_shape(path: Path) -> Path:
    """A cube in MNI space."""
    import nibabel as nib

    drawn = np.zeros((182, 218, 182), np.uint8)
    drawn[60:75, 100:120, 90:100] = 1
    nib.save(nib.Nifti1Image(drawn, np.array([[1, 0, 0, -90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1.0]])), path)
    return path


@pytest.mark.parametrize("change", ["seed", "label maps", "shapes"])
def test_only_the_same_training_goes_on(trained, tmp_path, change):
    paths, folder = trained[1], shutil.copytree(trained[0], tmp_path / "model")
    options = {"seed": {"seed": 9}, "label maps": {}}.get(change, {"shapes": [lesion_shape(tmp_path / "s.nii.gz")]})
    with pytest.raises(ModelError, match=rf"is another one \({change} changed\), so it cannot go on") as caught:
        train(paths[::-1] if change == "label maps" else paths, folder, resume=True, **options)
    assert "\n" not in str(caught.value)


def test_a_model_trained_anew_in_the_same_folder_is_read_anew(trained, patient, tmp_path):
    import os

    folder = shutil.copytree(trained[0], tmp_path / "model", ignore=shutil.ignore_patterns("training"))
    method, model = synthetic_unet.Method(device="cpu"), ModelFolder(folder)
    scorer = method.load(folder)
    before = scorer(patient[0]).array
    assert method.load(folder) is scorer
    config = model.config()
    config["calibration"]["offset"] += 1.0
    model.write("synthetic_unet", {"weights": model.tensors()}, config, "")
    os.utime(folder / "config.json", ns=(1, 1))  # whatever the clock's steps are
    after = method.load(folder)(patient[0]).array
    assert (after[patient[0].brain.array] > before[patient[0].brain.array]).all()


def test_a_training_starts_from_the_mean_of_several_models_and_the_card_lists_them(trained, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file, save_file

    from flairline.learning.loop import Curve
    from flairline.learning.volumes import fit_unet
    from flairline.learning.volumes.write_unet import card

    folder, paths = trained
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("training"))
    weights = load_file(folder / "weights.safetensors")
    moved = {name: array + 0.2 if array.is_floating_point() else array for name, array in weights.items()}
    save_file(moved, other / "weights.safetensors")
    begun = {}

    def no_training(objective, *_):
        assert not objective.budget.best, "a few validation scans choose badly"
        begun.update({name: tensor.clone() for name, tensor in objective.network.state_dict().items()})
        return begun, Curve([4], [0.5], 1.0, 0.5, 4)

    monkeypatch.setattr(fit_unet, "train", no_training)
    train(paths, tmp_path / "mean", start=[folder, other])
    for name, array in weights.items():
        expected = array + 0.1 if array.is_floating_point() else array
        torch.testing.assert_close(begun[name], expected, msg=name)
    train(paths, tmp_path / "next", start=[tmp_path / "mean"])
    text = card("synthetic_unet", json.loads((tmp_path / "next" / "config.json").read_text())).render()
    listed = [line for line in text.splitlines() if "such scans, seed" in line]
    assert [len(line) - len(line.lstrip()) for line in listed] == [0, 2, 2]


def test_scans_without_labels_teach_and_pick_what_is_calibrated_on(trained, patient, tmp_path, monkeypatch):
    from flairline.io.nifti import write_mask, write_volume
    from flairline.learning.data import TrainingData
    from flairline.learning.volumes import fit_unet
    from flairline.types import Case

    folder, paths = trained
    scan = patient[0]
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("flair", "brain")}
    write_volume(files["flair"], scan.flair)
    write_mask(files["brain"], scan.brain)
    small = fit_unet.SIZES["test"]
    monkeypatch.setitem(fit_unet.SIZES, "test", dataclasses.replace(small, scans=4))
    mean = dataclasses.replace(fit_unet.SIZES["mean"], features=small.features, template=False)
    monkeypatch.setitem(fit_unet.SIZES, "mean", mean)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    monkeypatch.setattr(fit_unet, "CANDIDATES", 4)
    data = LabelMaps(tuple(paths), unlabelled=TrainingData([Case("clinic", "7", **files)]))
    for preset, start in (("test", folder), ("mean", tmp_path / "test")):
        run = TrainingRun(tmp_path / preset, preset, max_minutes=2.0, workers=1, start=(start,))
        synthetic_unet.Method(device="cpu").train(data, run)
        calibration = json.loads((tmp_path / preset / "config.json").read_text())["calibration"]
        assert (calibration["scans"], calibration["candidates"]) == (2, 4)
        card = " ".join((tmp_path / preset / "model_card.md").read_text().split())
        assert "of 4, those that look most like the real scans without labels" in card and "clinic 7" in card
        assert "--unlabelled CASES.csv" in card


def test_the_mean_of_models_is_calibrated_without_a_step(trained, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from flairline.learning.volumes import fit_unet

    folder, paths = trained
    size = dataclasses.replace(fit_unet.SIZES["mean"], features=fit_unet.SIZES["test"].features, template=False)
    monkeypatch.setitem(fit_unet.SIZES, "mean", size)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    options = {"preset": "mean", "seed": 5}
    with pytest.raises(InputError, match="Name one with --start"):
        train(paths, tmp_path / "model", **options)
    train(paths, tmp_path / "model", start=[folder, folder], **options)
    before, after = (load_file(model / "weights.safetensors") for model in (folder, tmp_path / "model"))
    assert all((before[name] == after[name]).all() for name in before)
    text = (tmp_path / "model" / "model_card.md").read_text()
    assert "No step: the weights are the mean" in text and text.count("such scans, seed 0, 4 steps") == 2
    assert json.loads((tmp_path / "model" / "config.json").read_text())["calibration"]["scans"] == 2
    train(paths, tmp_path / "next", start=[tmp_path / "model"], **options)
    text = (tmp_path / "next" / "model_card.md").read_text()
    assert "a mean without a step, of these:" in text
    assert text.count("at the end, as above") == 1  # the same model twice


def random_plain_weights(features: tuple[int, ...]) -> dict:
    """Of a plain U-Net, as older model folders hold; running statistics are random, too."""
    import torch

    from flairline.learning.volumes.unet import build

    generator = torch.Generator().manual_seed(3)
    state = build(features, folded=False).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            random = torch.randn(tensor.shape, generator=generator)
            state[name] = random.abs() + 0.5 if "running_var" in name else 0.3 * random
    return state


def test_a_folded_network_can_do_what_a_plain_one_does():
    import torch

    from flairline.learning.networks.folded import folded_weights
    from flairline.learning.volumes.unet import build

    features = (4, 4, 8, 4, 4)
    state = random_plain_weights(features)
    plain, folded = build(features, folded=False), build(features)
    plain.load_state_dict(state)
    folded.load_state_dict(folded_weights(state))
    image = torch.randn(2, 1, 32, 48, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted, found = plain.eval()(image), folded.eval()(image)
    assert wanted.std() > 0.1
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-4 * float(wanted.abs().max()))


def test_a_plain_model_of_older_times_is_read_and_started_from(trained, patient, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from flairline.learning.networks.folded import folded_weights, widened_weights
    from flairline.learning.volumes import fit_unet
    from flairline.learning.volumes.sizes import Inlets
    from flairline.learning.volumes.unet import build

    folder, paths = trained
    config = json.loads((folder / "config.json").read_text())
    for name in ("folded", "t1", "placed"):
        del config["size"][name]
    state = random_plain_weights(tuple(config["size"]["features"]))
    ModelFolder(tmp_path / "plain").write("synthetic_unet", {"weights": state}, config, "card")
    before = synthetic_unet.Method(device="cpu").load(tmp_path / "plain")(patient[0]).array
    assert before.std() > 0
    size = dataclasses.replace(fit_unet.SIZES["mean"], features=fit_unet.SIZES["test"].features, template=False)
    monkeypatch.setitem(fit_unet.SIZES, "mean", size)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    options = {"preset": "mean", "start": [tmp_path / "plain"]}
    train(paths, tmp_path / "folded", **options)
    wanted = widened_weights(folded_weights(state), build(tuple(config["size"]["features"]), inlets=Inlets(True, True)))
    found = load_file(tmp_path / "folded" / "weights.safetensors")
    assert wanted.keys() == found.keys()
    assert all((wanted[name] == found[name]).all() for name in wanted)


def test_the_shipped_card_says_what_its_configuration_says():
    from flairline.learning.volumes.write_unet import card

    config = json.loads((synthetic_unet.SHIPPED / "config.json").read_text())
    assert (synthetic_unet.SHIPPED / "model_card.md").read_text() == card("synthetic_unet", config).render()


def test_a_frozen_batch_norm_keeps_its_statistics_through_a_training(trained, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from flairline.learning.volumes import fit_unet

    folder, paths = trained
    size = dataclasses.replace(fit_unet.SIZES["test"], frozen=True)
    monkeypatch.setitem(fit_unet.SIZES, "test", size)
    with pytest.raises(InputError, match="Name one with --start"):
        train(paths, tmp_path / "model")
    train(paths, tmp_path / "model", start=[folder], seed=1)
    before, after = (load_file(model / "weights.safetensors") for model in (folder, tmp_path / "model"))
    same = {name: bool((before[name] == after[name]).all()) for name in before}
    assert all(kept for name, kept in same.items() if "running" in name)
    assert not any(kept for name, kept in same.items() if name.endswith("conv.weight"))


def test_a_model_of_another_size_to_start_from_is_refused_before_anything_is_made(trained, tmp_path):
    with pytest.raises(InputError, match=r"features \[4, 4, 4, 4, 4\] of the preset test, but .* has \[16, 32"):
        start = [synthetic_unet.SHIPPED]
        train(trained[1], tmp_path / "model", start=start)
    assert not (tmp_path / "model").exists()


def test_a_model_without_t1_and_place_can_be_the_start(trained, patient, tmp_path, monkeypatch):
    """As the shipped one before them: at step 0 the wider network computes what it does."""
    import torch

    from flairline.learning.volumes import fit_unet
    from flairline.learning.volumes.unet import build

    folder, paths = trained
    config = json.loads((folder / "config.json").read_text())
    features = tuple(config["size"]["features"])
    for name in ("t1", "placed", "half"):
        del config["size"][name]
    torch.manual_seed(4)
    earlier = ModelFolder(tmp_path / "earlier")
    earlier.write("synthetic_unet", {"weights": build(features).state_dict()}, config, "card")
    size = dataclasses.replace(fit_unet.SIZES["mean"], features=features, template=False)
    monkeypatch.setitem(fit_unet.SIZES, "mean", size)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    train(paths, tmp_path / "wider", preset="mean", start=[earlier.path])
    wider = json.loads((tmp_path / "wider" / "config.json").read_text())
    assert wider["size"]["t1"] and wider["size"]["placed"]
    scan = patient[0]
    wider["calibration"] = config["calibration"]
    ModelFolder(tmp_path / "wider").write(
        "synthetic_unet", {"weights": ModelFolder(tmp_path / "wider").tensors()}, wider, "card"
    )
    method = synthetic_unet.Method(device="cpu")
    found = method.load(tmp_path / "wider")(scan).array
    assert found.std() > 0
    np.testing.assert_allclose(found, method.load(earlier.path)(scan).array, atol=1e-5)
    with_t1 = method.load(tmp_path / "wider")(scan.with_images(t1=scan.flair)).array
    np.testing.assert_allclose(with_t1, found, atol=1e-5)  # it weighs nothing yet


def test_the_card_says_by_which_commands_a_model_is_made_again(trained, tmp_path, monkeypatch):
    from flairline.learning.volumes import fit_unet
    from flairline.learning.volumes.write_unet import card, recipe

    folder, paths = trained
    config = json.loads((folder / "config.json").read_text())
    first = "flairline fit synthetic_unet LABELS... -o test-0 --preset test --seed 0 --max-minutes 2"
    assert config["command"] == first
    assert f"\n    {first}\n" in (folder / "model_card.md").read_text()
    size = dataclasses.replace(fit_unet.SIZES["mean"], features=fit_unet.SIZES["test"].features, template=False)
    monkeypatch.setitem(fit_unet.SIZES, "mean", size)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    older = shutil.copytree(folder, tmp_path / "older", ignore=shutil.ignore_patterns("training"))
    before = {**config, "command": None, "seed": 7}
    (older / "config.json").write_text(json.dumps(before))
    train(paths, tmp_path / "model", preset="mean", start=[folder, older], seed=3)
    text = (tmp_path / "model" / "model_card.md").read_text()
    second = "flairline fit synthetic_unet LABELS... -o mean-3 --preset mean --start test-0 --start EARLIER-7 --seed 3"
    assert recipe(json.loads((tmp_path / "model" / "config.json").read_text())) == [first, second]
    assert f"    {first}\n    {second}\n" in text
    assert f"\nEARLIER-7 has the weights {ModelFolder(older).sha256}." in text
    assert "Made by" not in card("synthetic_unet", before).render()


def test_a_large_networks_weights_are_stored_in_16_bits(trained, patient, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file

    from flairline.learning.volumes import fit_unet
    from flairline.learning.volumes.sizes import SIZES, Inlets
    from flairline.learning.volumes.unet import build

    assert SIZES["large"].half
    large = build(SIZES["large"].features, inlets=Inlets(True, True)).state_dict()
    assert sum(tensor.numel() * 2 for tensor in large.values()) < 15e6
    size = dataclasses.replace(SIZES["mean"], features=SIZES["test"].features, template=False, half=True)
    monkeypatch.setitem(fit_unet.SIZES, "mean", size)
    monkeypatch.setattr(fit_unet, "HELD_OUT_SCANS", 2)
    train(trained[1], tmp_path / "model", preset="mean", start=[trained[0]])
    stored = load_file(tmp_path / "model" / "weights.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}
    found = synthetic_unet.Method(device="cpu").load(tmp_path / "model")(patient[0]).array
    assert np.isfinite(found).all()
    train(trained[1], tmp_path / "next", preset="mean", start=[tmp_path / "model"])


def test_scoring_does_not_load_what_only_training_needs():
    """Lightning takes seconds to load."""
    import subprocess
    import sys

    code = (
        "import sys\nfrom flairline import recipes\nfrom flairline.synthesis.phantom import phantom\n"
        "recipes.load('default').scorer()(phantom(0, 4.0, [])[0])\n"
        "sys.exit('torch' not in sys.modules or 'lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_too_few_label_maps_are_refused(trained, tmp_path):
    with pytest.raises(InputError, match="at least 3 label maps"):
        train(trained[1][:2], tmp_path / "model")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "broken"),
        ("config.json", '{"format": 99, "method": "synthetic_unet"}', "Update flairline"),
        ("config.json", '{"format": 1, "method": "vae"}', "--method vae"),
        ("config.json", None, "has no config.json"),
        ("weights.safetensors", "nonsense", "cut off or no safetensors"),
        ("weights.safetensors", None, "Cannot read"),
    ],
)
def test_a_bad_model_folder_gets_one_clear_line(trained, tmp_path, patient, file, content, message):
    folder = tmp_path / "model"
    shutil.copytree(trained[0], folder, ignore=shutil.ignore_patterns("training"))
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        synthetic_unet.Method().load(folder)(patient[0])
    assert "\n" not in str(caught.value)


def test_calibration_recovers_a_known_slope():
    from flairline.learning.calibration import Judged, calibrate

    rng = np.random.default_rng(0)
    scans = []
    for _ in range(6):
        logits = rng.normal(0, 2, (30, 31, 32)).astype(np.float32)
        truth = rng.random(logits.shape) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
        scans.append(Judged(logits, truth, np.ones(truth.shape, bool)))
    found = calibrate(scans, rng)
    assert found["slope"] == pytest.approx(0.5, abs=0.03)
    assert found["offset"] == pytest.approx(-1, abs=0.06)
    for row in found["voxel_reliability"]:
        if row["count"] > 300:
            assert row["predicted"] == pytest.approx(row["observed"], abs=0.06)


def test_the_largest_expected_dice_is_that_of_the_best_mask_of_random_truths():
    """Truths are drawn from the probabilities; no threshold's mean Dice beats the one at half of the expected."""
    from flairline.learning.calibration import best_expected_dice

    rng = np.random.default_rng(5)
    share = np.concatenate([rng.beta(4, 2, 4000), rng.beta(1, 30, 60000)])
    truths = rng.random((40, share.size)) < share
    thresholds = np.arange(0.05, 0.9, 0.01)
    mean = [(2 * (truths & (share >= t)).sum(1) / ((share >= t).sum() + truths.sum(1))).mean() for t in thresholds]
    expected = best_expected_dice(share)
    assert expected == pytest.approx(max(mean), abs=0.005)
    assert thresholds[int(np.argmax(mean))] == pytest.approx(expected / 2, abs=0.03)
    assert np.isnan(best_expected_dice(np.zeros(10)))


def test_a_threshold_is_raised_from_where_it_gains_without_marking_more_in_healthy_scans():
    from flairline.learning.calibration import THRESHOLDS, _choose

    fixed, raised = np.full((2, 3, len(THRESHOLDS)), 0.4)
    fixed[:, 4] = 0.5
    raised[:, 4], raised[:, 3], raised[:, 0] = 0.5, 0.52, 0.6
    marked = np.linspace(9, 0, len(THRESHOLDS))
    assert _choose(fixed, raised, np.zeros((2, 0, len(THRESHOLDS)))) == (0, True)
    assert _choose(fixed, raised, np.stack([marked, marked - 1])[:, None]) == (3, True)
    assert _choose(fixed, raised, np.stack([marked, marked])[:, None]) == (4, False)
    assert _choose(fixed, fixed, np.stack([marked, marked])[:, None]) == (4, False)
    assert _choose(fixed[:0], raised[:0], np.zeros((2, 1, len(THRESHOLDS)))) == (9, False)


def test_a_model_that_raises_does_so_for_large_sure_lesions_alone(tmp_path, monkeypatch):
    from flairline.postprocess.calibrated import ModelThreshold
    from flairline.types import Mask, Space

    space = Space((40, 42, 44), np.eye(4), "scan")
    brain = Mask(np.ones(space.shape, bool), space)
    sure, doubtful = (np.full(space.shape, 0.01, np.float32) for _ in range(2))
    sure[5:19, 5:39, 5:41] = 0.95  # 14 voxels thick: no mass
    doubtful[5:9, 5:9, 5:9] = 0.4
    calibration = {"threshold": 0.3, "scans": 24, "raises": True}
    monkeypatch.setattr(ModelThreshold, "calibration", lambda self: calibration)
    rule = ModelThreshold(tmp_path, "synthetic_unet")
    raised = rule.choose(Volume(sure, space), brain)
    assert 0.4 < raised.value < 0.5
    assert "expected Dice" in raised.rule and "this scan" in raised.chosen_on
    assert rule.choose(Volume(doubtful, space), brain).value == 0.3
    calibration["raises"] = False
    assert rule.choose(Volume(sure, space), brain).value == 0.3


def test_methods_are_listed_without_importing_torch():
    import subprocess
    import sys

    load = "import sys; from flairline import registry as r; r.load('methods', 'synthetic_unet')"
    code = f"{load}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shapes_of_other_patients_are_cut_to_the_brains_box(tmp_path):
    import nibabel as nib

    from flairline.learning.volumes.fit_unet import MNI_BOX_MM, shape_in_mni_box

    drawn = np.zeros((182, 218, 182), np.uint8)
    drawn[60:75, 100:120, 90:100] = 1  # stored LAS: x from 90 mm down, so 16 to 30 mm to the right
    vox_to_ras = np.diag([-1.0, 1, 1, 1])
    vox_to_ras[:3, 3] = 90, -126, -72
    nib.save(nib.Nifti1Image(drawn, vox_to_ras), tmp_path / "shape.nii.gz")
    shape = shape_in_mni_box(tmp_path / "shape.nii.gz")
    places = np.argwhere(shape) + np.array(MNI_BOX_MM[0])
    assert tuple(places.min(axis=0)) == (16, -26, 18)
    assert tuple(places.max(axis=0)) == (30, -7, 27)
