"""What summary.json says of the preprocessing is what ran."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flairline.preprocess import pipeline
from flairline.preprocess.described import CONVERTER, describe
from flairline.preprocess.pipeline import PreprocessSettings
from flairline.preprocess.register import carry_mask, identity
from flairline.segmentation import Settings, segment_case
from flairline.types import Mask, Volume


@pytest.fixture
def settings(head, coarse_registration) -> PreprocessSettings:
    return PreprocessSettings(atlas=str(head.atlas_file))


def steps_of(case, settings, out) -> dict:
    folder = segment_case(case, out, Settings("histeq", preprocess=settings)).folder
    return json.loads((folder / "summary.json").read_text())["preprocessing"]


def test_extracted_brains_registration_and_bias_are_named(head, settings, tmp_path, monkeypatch):
    def extract(image: Volume, extractor: str, name: str) -> Mask:
        return carry_mask(head.brain, image.space, identity("image", "flair"))

    monkeypatch.setattr(pipeline, "extract_brain", extract)
    case = replace(head.write(tmp_path / "in", with_brain=False), extra={CONVERTER: "dcm2niix"})
    steps = steps_of(case, replace(settings, brain="robex", bias=True), tmp_path / "out")
    versions = steps.pop("versions")
    assert steps == {
        "converter": "dcm2niix",
        "brain": "robex",
        "brain_of": "t1",
        "flair_to_t1": "greedy",
        "bias": "n4",
        "atlas": "atlas",
        "to_atlas": "greedy",
    }
    assert set(versions) == {"dcm2niix", "robex", "greedy", "n4"}
    steps = steps_of(case, replace(settings, brain="robex", strip_on="flair"), tmp_path / "flair")
    assert (steps["brain"], steps["brain_of"], "bias" in steps) == ("robex", "flair", False)


def test_sri24_is_known_by_its_bytes_whatever_the_file_is_called(head, settings, tmp_path, monkeypatch):
    from flairline.io import fetch
    from flairline.io.files import sha256

    known = replace(fetch.SRI24_T1, sha256=sha256(head.atlas_file))
    monkeypatch.setattr(fetch, "SRI24_T1", known)
    assert steps_of(head.write(tmp_path / "in"), settings, tmp_path / "out")["atlas"] == "sri24"


def test_a_given_brain_is_not_called_extracted(head, settings, tmp_path):
    steps = steps_of(head.write(tmp_path / "in"), replace(settings, to_atlas="never"), tmp_path / "out")
    assert (steps["brain"], steps["brain_of"]) == ("given", "flair")
    assert steps["flair_to_t1"] == "greedy"
    assert not {"atlas", "to_atlas", "bias", "converter"} & set(steps)


def test_a_scan_taken_as_it_is_had_nothing_done_to_it(head, tmp_path):
    case = head.write(tmp_path / "in")
    assert describe(case, None, PreprocessSettings()) == {"brain": "given", "brain_of": "flair", "versions": {}}
    bare = replace(case, brain=None)
    assert describe(bare, None, PreprocessSettings())["brain"] == "background"
