"""A small data set as BIDS has it, and what a run makes of it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

VISITS = ("sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-03")


@pytest.fixture(scope="session")
def bids(made_once, phantoms):
    """A folder with raw/ (four stripped scans of three subjects) and masks/ (their truths); not to be changed."""

    def make(folder):
        for number, (name, case) in enumerate(zip(VISITS, phantoms(4, patients=True), strict=True)):
            anat, masks = (folder / kind / name.replace("_", "/") / "anat" for kind in ("raw", "masks"))
            anat.mkdir(parents=True)
            masks.mkdir(parents=True)
            shutil.copy(case.flair, anat / f"{name}_FLAIR.nii.gz")
            if number != 1:
                shutil.copy(case.t1, anat / f"{name}_T1w.nii.gz")
            shutil.copy(case.truth, masks / f"{name}_label-lesion_mask.nii.gz")
        lines = ["participant_id\tage\tsite", "sub-01\t70\tA", "sub-02\t60\tB", "sub-03\tn/a\tA"]
        (folder / "raw" / "participants.tsv").write_text("\n".join(lines) + "\n")

    return made_once("cohort-bids", make)


@pytest.fixture(scope="session")
def finished(made_once, bids):
    """OUT of an undisturbed run with one process and the truths; not to be changed."""

    def make(folder):
        from flairline.cohort.layout import read_layout
        from flairline.cohort.participant import Run, Workers, run
        from flairline.preprocess.settings import PreprocessSettings
        from flairline.segmentation import Settings

        settings = Settings("histeq", preprocess=PreprocessSettings(brain="none"))
        asked = Run(bids / "raw", folder / "out", folder / "work", settings, bids / "masks")
        ended = list(run(read_layout(bids / "raw"), asked, Workers()))
        assert [scan.how for scan in ended] == ["done"] * 4

    return made_once("cohort-finished", make) / "out"


@pytest.fixture(scope="session")
def killed():
    """The study that kills cohorts, as a module."""
    path = Path(__file__).parents[2] / "studies" / "killed.py"
    spec = importlib.util.spec_from_file_location("studies_killed", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def contents(killed):
    """`contents(out)` are all outputs by path, without locks, logs, seconds and memory."""
    return killed.comparable
