"""Training as a library function: what it takes, and what it refuses in one line."""

import json
from dataclasses import replace

import pytest

from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import InputError, UnknownNameError
from flairline.learning.run import TrainingRun
from flairline.training import Material, train_model, training_data


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Three phantoms without lesions, 4 mm, stripped."""
    return Phantoms(tmp_path_factory.mktemp("healthy"), spacing_mm=4.0).healthy(3)


@pytest.mark.parametrize(
    ("method", "given", "run", "told"),
    [
        ("zscore", {"scans": ["a.nii.gz"]}, {}, "zscore needs no training"),
        ("synthetic_unet", {"scans": ["a.nii.gz"]}, {}, "synthetic_unet learns from label maps"),
        ("vae", {"shapes": ["lesion.nii.gz"]}, {}, "--start are for synthetic_unet, and vae learns from"),
        ("vae", {}, {"start": ("model",)}, "--unlabelled and --start are for synthetic_unet, and vae learns"),
        ("vae", {}, {}, "at least 2 patients"),
        ("vae", {}, {"preset": "huge"}, "No preset is called 'huge'. Known: paper, small, test"),
        ("atlas_zscore", {}, {"device": "cuda"}, "atlas_zscore learns on the CPU alone, but --device cuda was given"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(tmp_path, method, given, run, told):
    pytest.importorskip("lightning")
    with pytest.raises(InputError) as error:
        train_model(method, TrainingRun(tmp_path / "model", **run), Material(**given))
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "model" / "config.json").exists()


def test_an_unknown_method_names_the_closest(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'vae'"):
        train_model("vaee", TrainingRun(tmp_path), Material())


def test_files_of_one_name_are_different_patients_and_known_data_sets_have_their_licence(healthy):
    flairs = [case.flair for case in healthy]
    data = training_data(Material(scans=flairs, brain="none"))
    assert len({case.subject for case in data.cases}) == 3 and data.licences == () and data.preprocess.brain == "none"
    (licence,) = training_data(Material(cases=healthy)).licences
    assert licence.startswith("phantom: ")


def test_a_training_goes_from_cases_to_a_model_and_tells_its_progress(healthy, tmp_path):
    pytest.importorskip("lightning")
    seen = []
    run = TrainingRun(tmp_path / "model", "test", 0.02, "cpu", progress=lambda *step: seen.append(step))
    cases = [replace(case, subject=f"p{number}") for number, case in enumerate(healthy)]
    assert train_model("ae_dense", run, Material(cases=cases)) == tmp_path / "model"
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert [scan["subject"] for scan in config["training"]["scans"]] == ["p0", "p1"]
    assert ("cutting slices", 1, 1) in seen and ("cutting slices", 2, 2) in seen
