"""Plug-ins of another package, built and installed here, work without an edit in flairline."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "flairline_example"
RUN_SOURCE = """
import csv, sys
from pathlib import Path
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.evaluation import protocols
from flairline import registry
from flairline_example.source import Oracle
if __name__ == "__main__":
    cases = registry.load("datasets", "example2024")(Path(sys.argv[1])).cases()
    run(Plan(cases, [Oracle()], [protocols.load("sound")], Path(sys.argv[2]), jobs=1))
"""


@pytest.fixture(scope="module")
def installed(made_once) -> Path:
    """The folder that the package is installed to: a wheel, as anybody would get it."""

    def install(folder: Path) -> None:
        source = shutil.copytree(PACKAGE, folder.with_name("flairline_example_source"))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*pip, "--target", str(folder), str(source)], check=True, timeout=120)

    return made_once("flairline-example", install)


@pytest.fixture(scope="module")
def python(installed) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs this Python with the package installed: `python("-c", script)`."""
    paths = [str(installed), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, words)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran

    return run


@pytest.fixture(scope="module")
def command(python) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line with the package installed."""
    start = "from flairline.cli.main import main; main()"
    return lambda *words: python("-c", start, *words)


@pytest.fixture(scope="module")
def folder(phantoms, tmp_path_factory) -> Path:
    """Two patients of the data set example2024."""
    folder = tmp_path_factory.mktemp("example2024")
    for number, case in enumerate(phantoms(2, patients=True), 1):
        place = folder / f"patient{number}"
        place.mkdir()
        for path, name in ((case.flair, "image"), (case.brain, "brain"), (case.truth, "lesions")):
            shutil.copy(path, place / f"{name}.nii.gz")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_they_are_listed_beside_flairlines_own(command):
    assert "An outside paper, 2024" in command("methods").stdout
    assert "Example 2024" in command("datasets").stdout


def test_its_method_segments_and_its_section_stands_on_the_page(command, folder, tmp_path):
    image, brain = (folder / "patient1" / f"{name}.nii.gz" for name in ("image", "brain"))
    method = ("--method", "example_smooth", "--threshold", "q0.98")
    command("segment", image, "--brain", brain, *method, "-o", tmp_path / "out")
    (summary,) = (tmp_path / "out").rglob("summary.json")
    assert json.loads(summary.read_text())["method"] == "example_smooth"
    page = (summary.parent / "report.html").read_text(encoding="utf-8")
    assert 'id="example-words"' in page and "This part comes from another package." in page


def test_its_method_is_judged_on_its_data_set_by_its_metric(command, folder, tmp_path):
    given = ("--dataset", f"example2024={folder}", "--method", "example_smooth", "--protocol", "sound")
    command("benchmark", *given, "-o", tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "rows.csv")
    found = [row for row in rows if row["method"] == "example_smooth" and row["metric"] == "example_share"]
    assert {row["dataset"] for row in found} == {"example2024"}
    assert {row["subject"] for row in found} == {"patient1", "patient2", "cohort"}
    assert all(0 < float(row["value"]) < 0.2 for row in found)


def test_its_source_of_scores_is_judged_without_a_recipe(python, folder, tmp_path):
    """A `MapSource` written by somebody else, through the library."""
    (tmp_path / "judge.py").write_text(RUN_SOURCE)
    python(tmp_path / "judge.py", folder, tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "rows.csv")
    value = {row["metric"]: float(row["value"]) for row in rows if row["subject"] == "cohort"}
    assert {row["method"] for row in rows} == {"example_oracle"}
    assert value["auroc"] > 0.99 and value["dice_oracle"] > 0.7  # small components are filtered out
