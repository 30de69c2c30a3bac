"""`flairline fit` as a command, what it refuses, and what `segment` and `benchmark` make of the model."""

import csv
import json
import shutil
from dataclasses import replace

import pytest

from flairline import recipes, registry
from flairline.benchmarking.judge import judge
from flairline.benchmarking.source import RecipeSource
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.learning.data import TrainingData
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun


def test_a_method_without_training_is_refused(flairline, tmp_path):
    ran = flairline("fit", "zscore", tmp_path / "scan.nii.gz", "-o", tmp_path / "model")
    assert ran.code == 2
    assert "zscore needs no training" in ran.err
    assert ran.err.count("\n") <= 1
    assert not (tmp_path / "model").exists()


def test_a_preset_that_is_not_there_is_refused(flairline, tmp_path):
    ran = flairline("fit", "synthetic_unet", tmp_path / "a.nii.gz", "--preset", "huge", "-o", tmp_path / "model")
    assert ran.code == 2
    assert "huge" in ran.err
    assert "small" in ran.err


def test_a_model_for_a_method_that_reads_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="reads no model"):
        recipes.load(f"zscore={tmp_path}").scorer()


# ---- methods that learn from scans ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy(phantoms):
    """Three phantoms without lesions, 4 mm, stripped; none has a truth."""
    return phantoms(3)


@pytest.fixture(scope="module")
def patients(phantoms):
    """Two phantoms with lesions, 4 mm."""
    return phantoms(2, patients=True)


@pytest.fixture(scope="module")
def model(trained):
    """A vae of the preset test, trained on the phantoms."""
    return trained("vae")


def table(path, cases, dataset="phantom", truth=True):
    lines = ["dataset,subject,flair,brain,truth"]
    lines += [f"{dataset},{c.subject},{c.flair},{c.brain},{c.truth if truth else ''}" for c in cases]
    path.write_text("\n".join(lines) + "\n")
    return path


def quick(flairline, out, *arguments):
    return flairline("fit", "vae", *arguments, "--preset", "test", "--max-minutes", "1", "--brain", "none", "-o", out)


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def test_it_learns_from_files(flairline, healthy, tmp_path):
    ran = quick(flairline, tmp_path / "model", *[case.flair for case in healthy])
    assert ran.code == 0, ran.err
    assert f"Use it with --method vae --model {tmp_path / 'model'}" in ran.out
    training = config_of(tmp_path / "model")["training"]
    subjects = [scan["subject"] for part in ("scans", "validation_scans") for scan in training[part]]
    assert len(set(subjects)) == 3, "files of the same name in different folders are different patients"


def test_it_learns_from_patients_slices_without_lesions_and_says_so(flairline, patients, tmp_path):
    cases = table(tmp_path / "cases.csv", patients)
    refused = quick(flairline, tmp_path / "refused", "--cases", cases)
    assert refused.code == 2 and "has lesions by its truth" in refused.line and "--lesion-free-slices" in refused.line
    ran = quick(flairline, tmp_path / "model", "--cases", cases, "--lesion-free-slices")
    assert ran.code == 0, ran.err
    card = (tmp_path / "model" / "model_card.md").read_text()
    assert "The training data are not healthy people" in card and "ICBM 152" in card, "the licence is the data set's"
    assert config_of(tmp_path / "model")["training"]["lesion_free_slices"] is True


@pytest.mark.parametrize("with_truths", [True, False])
def test_it_learns_from_a_data_set_on_disk(flairline, healthy, tmp_path, with_truths):
    """Healthy people have no lesion masks; those with an empty one are as good."""
    root = tmp_path / "bids"
    for number, case in enumerate(healthy[:2], 1):
        scans, masks = (root / part / f"sub-{number}" / "anat" for part in ("", "derivatives/lesions"))
        for folder in (scans, masks):
            folder.mkdir(parents=True)
        shutil.copy(case.flair, scans / f"sub-{number}_FLAIR.nii.gz")
        if with_truths:
            shutil.copy(case.truth, masks / f"sub-{number}_label-lesion_mask.nii.gz")  # an empty one
    (root / "dataset_description.json").write_text('{"Name": "phantoms", "BIDSVersion": "1.8.0"}')
    ran = quick(flairline, tmp_path / "model", "--dataset", f"bids={root}")
    assert ran.code == 0, ran.err
    assert len(config_of(tmp_path / "model")["training"]["scans"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Wanted scans, --cases TABLE or --dataset NAME=DIR"),
        (["one"], "at least 2 patients"),
        (["all", "--preset", "huge"], "No preset is called 'huge'. Known: paper, small, test"),
        (["all", "--shape", "lesion.nii.gz"], "--shape, --unlabelled and --start are for synthetic_unet"),
        (["all", "--device", "banana"], "Wanted the device 'banana'"),
        (["missing"], "nowhere.nii.gz"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(flairline, healthy, tmp_path, arguments, said):
    files = {"one": [healthy[0].flair], "all": [case.flair for case in healthy]}
    files["missing"] = [tmp_path / "nowhere.nii.gz", *files["all"]]
    given = [part for word in arguments for part in files.get(word, [word])]
    ran = flairline("fit", "vae", "--brain", "none", "-o", tmp_path / "model", *given)
    assert ran.code == 2 and said in ran.line
    assert not (tmp_path / "model" / "config.json").exists()


@pytest.mark.parametrize("method", ["vae", "atlas_zscore"])
def test_a_scan_that_cannot_be_read_is_left_out_and_named(flairline, healthy, tmp_path, method):
    pytest.importorskip("lightning")
    broken = tmp_path / "sub-broken.nii.gz"
    broken.write_bytes(b"")
    files = [healthy[0].flair, broken, *(case.flair for case in healthy[1:])]
    small = ("--preset", "test", "--max-minutes", "1") if method == "vae" else ()
    ran = flairline("fit", method, "--brain", "none", *small, "-o", tmp_path / "model", *files)
    assert ran.code == 1 and ran.line.startswith(f"flairline: sub-broken: {broken} is empty")
    config = config_of(tmp_path / "model")
    assert len(config["training"]["scans"]) + len(config["training"]["validation_scans"]) == 3


def test_a_fault_while_a_scan_is_read_for_a_training_leaves_its_traceback(flairline, healthy, tmp_path, monkeypatch):
    def fails(*_):
        raise TypeError("no such thing")

    monkeypatch.setattr("flairline.learning.data.read_scan", fails)
    ran = flairline("fit", "vae", "--brain", "none", "-o", tmp_path / "model", *(case.flair for case in healthy))
    assert ran.code == 2 and ran.err.count("TypeError: no such thing (a fault in flairline; traceback in") == 2
    assert "Of 2 scans no slice can be learned from" in ran.err
    assert len(list((tmp_path / "model" / "logs").iterdir())) == 2


def test_label_maps_are_synthetic_unets_and_scans_the_others(flairline, healthy, tmp_path):
    pytest.importorskip("lightning")
    ran = flairline("fit", "synthetic_unet", "--cases", table(tmp_path / "c.csv", healthy), "-o", tmp_path / "model")
    assert ran.code == 2 and "learns from label maps" in ran.line


def test_a_training_that_is_stopped_says_how_to_go_on(flairline, healthy, tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    from flairline.learning.slices import fit_slices

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_slices, "train", stopped)
    ran = quick(flairline, tmp_path / "model", *[case.flair for case in healthy])
    assert ran.code == 130 and "stopped" in ran.err and "--resume" in ran.err
    assert "Traceback" not in ran.err


# ---- the model, used -----------------------------------------------------------------------------------------


def test_segment_takes_the_models_own_threshold_and_says_so(flairline, model, patients, tmp_path):
    out = tmp_path / "out"
    ran = flairline(
        "segment", patients[0].flair, "--method", "vae", "--model", model, "--brain", "none", "--no-report", "-o", out
    )
    assert ran.code == 0, ran.err
    (path,) = out.glob("*/summary.json")
    summary = json.loads(path.read_text())
    quantiles = config_of(model)["healthy_quantiles"]["vae"]
    assert summary["threshold"] == {
        "value": quantiles["0.99"],
        "rule": "quantile 0.99 of healthy brain",
        "chosen_on": "1 held-out healthy scans",
    }
    assert summary["method"] == "vae" and summary["recipe"] == f"vae={model}"


def test_two_models_at_once_are_refused(flairline, model, patients, tmp_path):
    given = ("--method", f"vae={model}", "--model", model)
    ran = flairline("segment", patients[0].flair, *given, "-o", tmp_path / "out")
    assert ran.code == 2 and "names a model already" in ran.line


def rows_of(out):
    with (out / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def judged(flairline, out, cases, model, *arguments):
    return flairline(
        "benchmark", "--cases", cases, "--method", f"vae={model}", "--protocol", "native", "-o", out, *arguments
    )


def test_no_model_is_judged_on_patients_it_has_seen_unless_told(flairline, model, healthy, patients, tmp_path):
    # Another data set, another name: the scan is known by its voxels.
    cases = table(tmp_path / "cases.csv", [replace(healthy[0], subject="renamed"), *patients], dataset="other")
    ran = judged(flairline, tmp_path / "refused", cases, model)
    assert ran.code == 2 and "has seen the patients of 1 of 3 scans (other/renamed)" in ran.line
    assert not (tmp_path / "refused" / "rows.csv").exists()
    ran = judged(flairline, tmp_path / "out", cases, model, "--allow-seen")
    assert ran.code == 0 and "has seen these patients" in ran.out
    marked = {row["subject"] for row in rows_of(tmp_path / "out") if row["seen"] == "yes"}
    assert marked == {"cohort", "renamed"}
    assert {row["seen"] for row in rows_of(tmp_path / "out")} == {"", "yes"}
    as_json = judged(flairline, tmp_path / "json", cases, model, "--allow-seen", "--json")
    assert {row["subject"] for row in json.loads(as_json.out)["rows"] if row["seen"] == "yes"} == marked


def test_a_model_trained_anew_in_the_same_folder_makes_new_maps(healthy, model, patients, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("training"))

    def maps():
        recipe = recipes.load(f"vae={folder}")
        judge(patients, RecipeSource(recipe), protocols.load("native"), tmp_path / "work")
        return {path.name for path in (tmp_path / "work").glob("score-*")}, recipes.ready_scorer(recipe)

    before, scorer = maps()
    same, again = maps()
    assert same == before and len(before) == 2 and again is scorer
    registry.load("methods", "vae")().train(TrainingData(healthy), TrainingRun(folder, "test", 1, seed=1))
    after, other = maps()
    assert len(after) == 4 and after > before and other is not scorer


def test_a_process_reads_a_model_once(model, patients, monkeypatch, tmp_path):
    read, load = [], ModelFolder.tensors
    monkeypatch.setattr(ModelFolder, "tensors", lambda self, name: read.append(self) or load(self, name))
    folder = shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("training"))
    for work in ("one", "two"):
        judge(patients, RecipeSource(recipes.load(f"vae={folder}")), protocols.load("native"), tmp_path / work)
    assert len(read) == 1
