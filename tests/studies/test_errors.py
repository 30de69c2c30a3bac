"""The study of where the Dice goes: what it prints, and what a change against an earlier run looks like."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flairline.benchmarking.rows import COHORT, Row
from flairline.evaluation.errors import FIGURES


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("studies.errors")


def test_a_change_is_what_is_new_less_what_was(study):
    now = [Row("a", "new", "sound", COHORT, name, 2.5, 3) for name in FIGURES]
    before = [replace(row, method="old", value=1.25) for row in now]
    lines = study.change(now, before).splitlines()
    assert lines[0] == "| mean over the scans | `new` a |"
    assert "| Dice of the mask | 2.500 (+1.250) |" in lines
    assert "| missed lesions, ml | 2.5 (+1.2) |" in lines
    assert len(lines) == 2 + len(FIGURES)


def test_with_several_methods_each_is_matched_by_its_name(study):
    now = [Row("a", method, "sound", COHORT, "dice", value, 3) for method, value in (("m", 0.5), ("n", 0.7))]
    before = [Row("a", method, "sound", COHORT, "dice", value, 3) for method, value in (("n", 0.6), ("m", 0.25))]
    assert "| Dice of the mask | 0.500 (+0.250) | 0.700 (+0.100) |" in study.change(now, before)


def test_the_table_of_maps_that_are_known_by_construction(study, tmp_path, save, head, capsys):
    mask = np.roll(head.truth, 1, axis=1)  # three quarters of the block of 4 x 4 x 3 voxels, and 1.5 mm beyond
    mask[10:12, 8:10, 13] = True
    assert head.brain[mask].all()
    for name, array in (("flair", head.flair), ("truth", head.truth), ("mask", mask)):
        save(tmp_path / f"{name}.nii.gz", array.astype(np.float32 if name == "flair" else np.uint8), "LPS")
    (tmp_path / "maps.csv").write_text("dataset,subject,flair,truth,mask\nd,1,flair.nii.gz,truth.nii.gz,mask.nii.gz\n")
    arguments = [str(tmp_path / "maps.csv"), "--maps", "theirs", "-o", str(tmp_path / "out")]
    study.main(arguments)
    said = capsys.readouterr().out
    assert "**Where the Dice of theirs goes** (sound; the mask is its own)" in said
    assert f"| Dice of the mask | {2 * 36 / (52 + 48):.3f} |" in said
    assert f"| without the false islands | {2 * 36 / (48 + 48):.3f} |" in said
    assert f"| falsely marked: border, ml | {12 * 0.003:.1f} |" in said
    assert "Regions are not known of:\n\n- d/1: " in said  # a head of 15 x 26 x 38 mm is no whole brain
    study.main([*arguments, "--against", str(tmp_path / "out/errors/figures.csv")])
    assert f"{2 * 36 / (52 + 48):.3f} (+0.000)" in capsys.readouterr().out
