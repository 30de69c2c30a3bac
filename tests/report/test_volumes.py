"""volumes.tsv: a line a scan."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from flairline.report import segmented
from flairline.report.volumes import COLUMNS, VOLUMES, write_volumes
from flairline.summary import Flag, Quality, Summary
from flairline.types import Threshold

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "volumes.md"


@pytest.fixture
def out(tmp_path):
    done = Summary(
        subject="sub-1",
        session="b",
        recipe="training-free",
        threshold=Threshold(1.5, "given", "user"),
        lesion_volume_ml=2.5,
        n_lesions=3,
        region_ml={"periventricular": 1.5, "grey matter": 1.0},
        brain_volume_ml=1200.0,
        qc=Quality(flags=()),
        seconds=4.25,
        versions={"flairline": "9.9"},
    )
    done.write(tmp_path / "sub-1" / "summary.json")
    flags = (Flag("contrast", 1.0, "looks like a T1,\nnot a\tFLAIR"), Flag("noise", 0.2, "0.2 > 0.1"))
    Summary(subject="sub-2", lesion_volume_ml=0.0, qc=Quality(flags=flags)).write(tmp_path / "sub-2" / "summary.json")
    (tmp_path / "sub-3").mkdir()
    (tmp_path / "sub-3" / "mask.nii.gz").write_bytes(b"of an earlier run")
    segmented.keep_failures(tmp_path, {"sub-3": "No such file: x.", "sub-0": "It is empty."})
    return tmp_path


def test_each_scan_has_its_line(out):
    assert write_volumes(out) == out / VOLUMES
    table = pd.read_csv(out / VOLUMES, sep="\t").set_index("subject")
    assert list(table.index) == ["sub-0", "sub-1", "sub-2", "sub-3"]
    assert list(table["status"]) == ["failed", "done", "flagged", "failed"]
    first = table.loc["sub-1"]
    assert (first["session"], first["lesion_volume_ml"], first["n_lesions"]) == ("b", 2.5, 3)
    assert (first["periventricular_ml"], first["grey_matter_ml"], first["brain_volume_ml"]) == (1.5, 1.0, 1200.0)
    assert (first["threshold"], first["threshold_rule"], first["recipe"]) == (1.5, "given", "training-free")
    assert (first["seconds"], str(first["version"])) == (4.25, "9.9")
    assert pd.isna(first["infratentorial_ml"]) and pd.isna(first["flags"]) and pd.isna(first["failure"])
    assert table.loc["sub-2", "flags"] == "contrast: looks like a T1, not a FLAIR; noise: 0.2 > 0.1"
    assert table.loc["sub-3", "failure"] == "No such file: x." and pd.isna(table.loc["sub-3", "lesion_volume_ml"])


def test_what_is_not_known_is_n_a_and_a_cell_is_one_line(out):
    write_volumes(out)
    lines = (out / VOLUMES).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5 and {len(line.split("\t")) for line in lines} == {len(COLUMNS)}
    assert lines[1].split("\t")[3] == "n/a"


def test_one_scan_gets_no_table(tmp_path):
    Summary(subject="sub-1", lesion_volume_ml=2.5).write(tmp_path / "sub-1" / "summary.json")
    assert write_volumes(tmp_path) is None and not (tmp_path / VOLUMES).exists()


def test_the_columns_are_the_documents():
    named = re.findall(r"^\| `(\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(named) == COLUMNS


def test_a_table_that_is_written_again_is_the_same(out):
    write_volumes(out)
    before = (out / VOLUMES).read_bytes()
    (out / VOLUMES).unlink()
    write_volumes(out)
    assert (out / VOLUMES).read_bytes() == before
    assert json.loads((out / segmented.DETAILS).read_text())["failures"]
