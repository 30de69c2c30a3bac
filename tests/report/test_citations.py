"""Sentences on preprocessing: of what ran, with the reference of each tool."""

import pytest

from flairline.report.citations import CITATIONS, NAMES, preprocessing_sentences
from flairline.summary import Preprocessing


def sentences(**steps):
    cited = []

    def cite(reference):
        cited.append(reference)
        return f" [{len(cited)}]"

    return preprocessing_sentences(Preprocessing(**steps), cite), cited


def test_nothing_is_said_of_what_did_not_run():
    assert sentences() == ([], [])


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"brain": "given", "brain_of": "flair"}, "The brain mask was given with the FLAIR."),
        ({"brain": "given", "brain_of": "t1"}, "given with the T1-weighted image and carried to the FLAIR."),
        ({"brain": "background"}, "The FLAIR was skull-stripped already"),
        ({"brain": "hdbet", "brain_of": "flair"}, "extracted from the FLAIR with HD-BET [1]."),
        ({"flair_to_t1": "greedy", "versions": {"greedy": "1.4"}}, "registered rigidly with greedy 1.4 [1]."),
        ({"bias": "n4", "versions": {"n4": "2.5"}}, "corrected with N4 (SimpleITK 2.5) [1]."),
        (
            {"to_atlas": "dipy", "atlas": "sri24"},
            "SRI24 atlas [1] and the FLAIR were registered affinely with DIPY",
        ),
        ({"converter": "dcm2niix"}, "converted to NIfTI with dcm2niix [1]."),
    ],
)
def test_one_sentence_for_a_step(steps, words):
    (sentence,), _ = sentences(**steps)
    assert words in sentence


def test_an_atlas_without_a_registration_to_it_is_not_cited():
    assert sentences(atlas="mni")[0] == []


def test_every_tool_with_a_name_of_its_own_has_a_reference():
    assert NAMES.keys() <= CITATIONS.keys() and all(text.endswith(".") for text in CITATIONS.values())
