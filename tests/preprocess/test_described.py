"""What summary.json says of the preprocessing is what ran."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from flairline.imaging.points import carry_mask, identity
from flairline.io.nifti import write_mask
from flairline.preprocess import preparing
from flairline.preprocess.described import CONVERTER, describe
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
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

    monkeypatch.setattr(preparing, "extract_brain", extract)
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
        "placed_on": "mni",  # another atlas than MNI152 says nothing of regions
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
    case = replace(head.write(tmp_path / "in"), t1=None)
    steps = describe(case, read_scan(case), PreprocessSettings())
    assert steps == {"brain": "given", "brain_of": "flair", "versions": {}}
    bare = replace(case, flair=head.atlas_file, brain=None)
    assert describe(bare, read_scan(bare), PreprocessSettings())["brain"] == "background"


def test_a_stripped_flair_keeps_its_own_brain_though_one_was_given_for_the_t1(head, settings, tmp_path):
    """A value knows it; notes in words did not: they said that the T1's brain was carried."""
    case = head.write(tmp_path / "in")
    image, brain = nib.load(case.flair), np.asarray(nib.load(case.brain).dataobj) > 0
    nib.save(nib.Nifti1Image(np.where(brain, np.asarray(image.dataobj), 0), image.affine), case.flair)
    of_t1 = carry_mask(head.brain, head.t1.space, identity("t1", "flair"))
    write_mask(tmp_path / "in" / "brain_of_t1.nii.gz", of_t1)
    given = replace(settings, brain=str(tmp_path / "in" / "brain_of_t1.nii.gz"), to_atlas="never")
    found = read_scan(replace(case, brain=None), given)
    assert (found.brain_source.origin, found.brain_source.image) == ("background", "flair")
    np.testing.assert_array_equal(found.scan.brain.array, brain)
