"""What was done to a scan before it was scored, as plain data: what summary.json says under `preprocessing`."""

from __future__ import annotations

from typing import Any

from flairline.io.versions import version_of
from flairline.preprocess import brain
from flairline.preprocess.atlas import published_name
from flairline.preprocess.prepared import Prepared
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case

PACKAGES = {
    **brain.PACKAGES,
    "dcm2niix": "dcm2niix",
    "greedy": "picsl-greedy",
    "dipy": "dipy",
    "n4": "SimpleITK",
    "mni": "nilearn",
}
"""The package that brings each tool, whose version is told."""
CONVERTER = "converter"
"""In a case's `extra`: what made its files of DICOM ones."""


def describe(case: Case, prepared: Prepared, settings: PreprocessSettings) -> dict[str, Any]:
    """The steps that a scan went through; nothing is named that did not run.

    Returns
    -------
    dict
        `converter`; `brain` ("given", "background", or the extractor) and the image it is of (`brain_of`);
        `flair_to_t1` and `to_atlas` (the registration engine) with `atlas`; `bias`; `versions` of what ran. Keys of
        steps that did not run are left out.
    """
    steps: dict[str, Any] = {}
    if CONVERTER in case.extra:
        steps["converter"] = case.extra[CONVERTER]
    steps["brain"], steps["brain_of"] = prepared.brain_source.origin, prepared.brain_source.image
    ran = prepared.seconds
    if "pair" in ran:
        steps["flair_to_t1"] = settings.registration
    if "bias" in ran:
        steps["bias"] = "n4"
    if prepared.atlas is not None:
        steps["atlas"] = published_name(prepared.atlas)
        if "atlas" in ran:
            steps["to_atlas"] = settings.registration
    used = [value for key, value in steps.items() if key != "brain_of" and value in PACKAGES]
    return {**steps, "versions": {name: version_of(PACKAGES[name]) for name in dict.fromkeys(used)}}
