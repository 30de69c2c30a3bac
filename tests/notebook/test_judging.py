"""`benchmark` and `evaluate`: rows of the same code as the command line, in a folder or in none."""

import csv

import numpy as np
import pytest

import flairline as fl


@pytest.fixture
def case(tmp_path, demo):
    """The phantom as files, with its FLAIR as a score as well."""
    scan, truth = demo
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("flair", "truth")}
    fl.write_volume(paths["flair"], scan.flair)
    fl.write_mask(paths["truth"], truth)
    return fl.Case("d", "cohort", score=paths["flair"], **paths)


def values(finished):
    return {(row.method, row.subject, row.metric): row.value for row in finished.rows}


def test_a_table_and_cases_are_judged_alike_and_by_the_command_line_too(tmp_path, flairline, case):
    table = tmp_path / "cases.csv"
    table.write_text("dataset,subject,flair,truth,score\nd,cohort,flair.nii.gz,truth.nii.gz,flair.nii.gz\n")
    in_memory = values(fl.benchmark([case], methods=["intensity"], protocol=fl.protocol("native")))
    of_table = values(fl.benchmark(table, methods=["intensity"], protocol="native", out=tmp_path / "out"))
    assert in_memory.keys() == of_table.keys()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rows.csv", "manifest.json"}
    np.testing.assert_array_equal([*in_memory.values()], [*of_table.values()])
    options = ("--method", "intensity", "--protocol", "native", "--pages", "none", "-o", tmp_path / "cli")
    assert flairline("benchmark", "--cases", table, *options).code == 0
    rows = [list(csv.reader((tmp_path / name / "rows.csv").open(newline=""))) for name in ("out", "cli")]
    assert rows[0] == rows[1] and len(rows[0]) > 10


def test_what_another_program_made_is_judged_like_a_method_that_makes_the_same(case):
    ours = values(fl.benchmark([case], methods=["intensity"], protocol="native"))
    theirs = values(fl.evaluate([case], protocol="native", name="intensity"))
    shared = ours.keys() & theirs.keys()
    assert ("intensity", "cohort", "auprc") in shared
    assert theirs["intensity", "cohort", "auprc"] == pytest.approx(ours["intensity", "cohort", "auprc"], abs=1e-6)


def test_nothing_is_left_where_no_folder_is_named(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    fl.benchmark([case], methods=["intensity"], protocol="native")
    assert sorted(tmp_path.rglob("*")) == before
