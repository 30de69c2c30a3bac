"""`flairline compare` on what `bids` left."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from flairline.io.nifti import read_volume, write_volume
from flairline.types import Volume

# The fixtures of the cohort's tests make phantoms of four different people; here one is scanned twice.


@pytest.fixture
def visits(phantoms, tmp_path):
    """A data set of one subject with two sessions."""
    case = phantoms(4, patients=True)[0]
    for session in ("1", "2"):
        anat = tmp_path / "raw" / "sub-01" / f"ses-{session}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(case.flair, anat / f"sub-01_ses-{session}_FLAIR.nii.gz")
    flair = read_volume(anat / "sub-01_ses-2_FLAIR.nii.gz")
    write_volume(anat / "sub-01_ses-2_FLAIR.nii.gz", Volume(flair.array * 3, flair.space))
    return tmp_path / "raw"


def test_two_sessions_of_one_subject(flairline, visits, tmp_path):
    ran = flairline("bids", visits, tmp_path / "o", "participant", "--method", "histeq", "--brain", "none")
    assert ran.code == 0, ran.err
    folders = [tmp_path / "o" / "sub-01" / f"ses-{session}" for session in (1, 2)]
    ran = flairline("compare", *folders, "-o", tmp_path / "changes")
    assert ran.code == 0, ran.err
    assert "sub-01_ses-1 -> sub-01_ses-2" in ran.out and "Research use only" in ran.out and "Page:" in ran.out
    content = json.loads((tmp_path / "changes" / "comparison.json").read_text())
    assert content["change_ml"] == 0 and set(content["kinds"]) > {"new", "resolved"}
    ran = flairline("compare", *folders, "-o", tmp_path / "changes", "--json")
    assert json.loads(ran.out) == content
    assert "Name one of them" in flairline("compare", tmp_path / "o" / "sub-01", folders[1], "-o", tmp_path / "x").line
    assert not (tmp_path / "x").exists()
    assert "there is none at" in flairline("compare", folders[0], tmp_path / "none", "-o", tmp_path / "x").line


GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "cohorts.md"


def example(command: str) -> list[str]:
    """The guide's example of a command, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block.strip() for block in blocks if block.startswith(f"flairline {command} ")]
    return shlex.split(found)[1:]


def test_the_guides_example(flairline, visits, tmp_path):
    ran = flairline("bids", visits, tmp_path / "OUT", "participant", "--method", "histeq", "--brain", "none")
    assert ran.code == 0, ran.err
    words = [re.sub("^(OUT|CHANGES)", rf"{tmp_path}/\1", word) for word in example("compare")]
    assert flairline(*words).code == 0
    text = GUIDE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from flairline import compare.*?)```", text, re.DOTALL)
    told: dict[str, object] = {}
    exec(code.replace('"OUT', f'"{tmp_path}/OUT'), told)
    assert told["compared"].comparison.kinds["new"].later_ml == 0  # type: ignore[attr-defined]


def test_the_guides_example_of_a_benchmark_by_columns(flairline, phantoms, tmp_path):
    rows = ["dataset,subject,flair,truth,age,scanner"]
    for number, case in enumerate(phantoms(4, patients=True)):
        rows.append(f"d,{case.subject},{case.flair},{case.truth},{(30, 30, 60, 60)[number]},{'ab'[number % 2]}")
    (tmp_path / "CASES.csv").write_text("\n".join(rows) + "\n")
    words = [re.sub("^(OUT|CASES)", rf"{tmp_path}/\1", word) for word in example("benchmark")]
    ran = flairline(*words, "--method", "histeq", "--pages", "none")
    assert ran.code == 0, ran.err
    assert "Figures by age" in ran.out
    page = (tmp_path / "OUT" / "index.html").read_text()
    assert "<h3>By age</h3>" in page and "Figures by further columns" in page
    ran = flairline(*words[:-4], "--by", "hospital", "-o", tmp_path / "other")
    assert "none called 'hospital'" in ran.line
