"""summary.json: what stands in it, in which order, and that nothing of another version is lost."""

import json

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.files import write_json
from flairline.summary import Flag, InputFile, Parameters, Preprocessing, Quality, Summary
from flairline.types import Lesion, Mask, Space, Threshold

WHOLE = {
    "recipe": "default",
    "method": "zscore",
    "why": "because",
    "threshold": {"value": 0.5, "rule": "given", "chosen_on": "user"},
    "note": "",
    "parameters": {"method": {"device": None}, "components": {"min_voxels": 5, "legacy_filled_area": False}},
    "lesion_volume_ml": 0.048,
    "n_lesions": 2,
    "lesions": [
        {"volume_ml": 0.032, "voxels": 32, "centre_mm": [1.5, -2.5, 3.0], "side": "right", "probability": 0.75},
        {"volume_ml": 0.016, "voxels": 16, "centre_mm": [-1.5, 2.5, 3.0], "side": "left"},
    ],
    "brain_volume_ml": 1000.0,
    "marked_share_of_brain": 0.000048,
    "subject": "sub-1",
    "site": "here",
    "voxel_mm": [1.0, 1.0, 3.0],
    "space": "native",
    "inputs": {"flair": {"file": "flair.nii.gz", "sha256": "ab"}, "brain": {"file": "brain.nii.gz", "sha256": "cd"}},
    "preprocessing": {
        "converter": "dcm2niix", "brain": "deepbet", "brain_of": "t1", "flair_to_t1": "greedy", "bias": "n4",
        "atlas": "mni", "to_atlas": "greedy", "versions": {"greedy": "1"},
    },
    "qc": {
        "figures": {"brain_ml": 1000.0, "noise": 0.1},
        "flags": [{"figure": "noise", "value": 0.1, "reason": "is high"}],
        "notes": ["The flair is skull-stripped."],
        "atlas": None,
        "seconds": {"pair": 1.5},
    },
    "versions": {"flairline": "0.1.0"},
    "seconds": 2,
    "intended_use": "research use only, not for diagnosis",
}  # fmt: skip


def test_a_file_is_written_back_byte_for_byte(tmp_path):
    path, again = tmp_path / "summary.json", tmp_path / "again.json"
    write_json(path, WHOLE)
    Summary.read(path).write(again)
    assert again.read_bytes() == path.read_bytes()


def test_what_a_file_says_has_types():
    summary = Summary.from_json(WHOLE)
    assert summary.threshold == Threshold(0.5, "given", "user")
    assert summary.lesions[0] == Lesion(0.032, 32, (1.5, -2.5, 3.0), "right", 0.75)
    assert summary.lesions[1].probability is None
    assert summary.inputs["brain"] == InputFile("brain.nii.gz", "cd")
    assert isinstance(summary.parameters, Parameters) and isinstance(summary.preprocessing, Preprocessing)
    assert summary.qc.flags == (Flag("noise", 0.1, "is high"),) and summary.qc.words == ["noise: is high"]
    assert summary.qc.numbers == {"brain_ml": 1000.0, "noise": 0.1}


def test_what_another_version_wrote_is_kept_wherever_it_stands(tmp_path):
    content = {
        "subject": "s",
        "threshold": {"value": 0.5, "rule": "r", "chosen_on": "c", "low": 0.1},
        "lesions": [{"volume_ml": 1.0, "shape": "round"}],
        "inputs": {"flair": {"file": "f", "bytes": 7}},
        "preprocessing": {"denoised": "nlm"},
        "parameters": {"protocol": {"slices": None}, "smooth": 2},
        "qc": {"flags": [{"text": "odd", "figure": "x_y"}], "snr": 3.0},
        "region_volumes": {"left": [1, 2, None]},
    }
    summary = Summary.from_json(content)
    assert summary.to_json() == content
    assert (
        summary.further["region_volumes"] == {"left": [1, 2, None]} and summary.lesions[0].further["shape"] == "round"
    )
    assert summary.qc.words == ["x y: odd"] and summary.qc.numbers == {"snr": 3.0}


def test_what_is_not_known_is_not_in_the_file():
    assert Summary().to_json() == {}
    assert Summary.from_json({}) == Summary()
    assert Summary(subject="s", lesions=()).to_json() == {"subject": "s", "lesions": []}
    assert Quality(figures={}, flags=(), notes=()).further == {}


def test_nan_is_null_in_the_file_and_nan_again_where_it_must_be_a_number(tmp_path):
    path = tmp_path / "summary.json"
    nan = float("nan")
    Summary(threshold=Threshold(nan, "r", "c"), voxel_mm=(1.0, nan), brain_volume_ml=nan).write(path)
    assert json.loads(path.read_text()) == {
        "threshold": {"value": None, "rule": "r", "chosen_on": "c"}, "brain_volume_ml": None, "voxel_mm": [1.0, None],
    }  # fmt: skip
    read = Summary.read(path)
    assert np.isnan(read.threshold.value) and np.isnan(read.voxel_mm[1]) and read.brain_volume_ml is None
    assert read.to_json()["brain_volume_ml"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"lesion_volume_ml": "much"}, "lesion_volume_ml: wanted a number, found 'much'"),
        ({"n_lesions": True}, "n_lesions: wanted a number"),
        ({"lesions": [{"voxels": 3}]}, "lesions: .*volume_ml"),
        ({"lesions": {"a": 1}}, "lesions: wanted a list"),
        ({"qc": [1]}, "qc: wanted an object"),
        ({"qc": {"flags": [{"figure": 7}]}}, "qc: flags: figure: wanted a text"),
        ({"threshold": 0.5}, "threshold: wanted an object"),
        ([], "wanted an object"),
    ],
)
def test_a_file_that_says_something_else_is_named_with_the_key(tmp_path, content, words):
    path = tmp_path / "summary.json"
    write_json(path, content)
    with pytest.raises(InputError, match=words) as raised:
        Summary.read(path)
    assert str(path) in str(raised.value) and "--overwrite" in str(raised.value)


def test_measured_says_the_volumes_of_mask_and_brain():
    space = Space((7, 8, 9), np.diag([1.0, 2.0, 3.0, 1.0]))
    brain = np.ones(space.shape, bool)
    mask = np.zeros(space.shape, bool)
    mask[1:3, 2, 3] = True
    lesion = Lesion(0.012, 2, (1.5, 4.0, 9.0), "left")
    summary = Summary(subject="s").measured(Mask(mask, space), Mask(brain, space), [lesion])
    assert summary.lesion_volume_ml == pytest.approx(0.012) and summary.brain_volume_ml == pytest.approx(504 * 0.006)
    assert summary.marked_share_of_brain == pytest.approx(2 / 504)
    assert (summary.n_lesions, summary.lesions, summary.subject) == (1, (lesion,), "s")
