"""Rows: their columns, what is marked, what comes back from the file."""

from __future__ import annotations

import numpy as np

from flairline.benchmarking import rows
from flairline.benchmarking.rows import COHORT, Measured, Row
from flairline.evaluation import protocols
from flairline.evaluation.counts import Counts
from flairline.io.tables import read_records
from flairline.types import Case


def test_rows_come_back_from_their_file(tmp_path):
    written = [
        Row("d", "m", "sound", COHORT, "auroc", 0.1 + 0.2, 2, 0.1, 0.5),
        Row("d", "m", "sound", "1", "dice", 1, 1),
    ]
    rows.write_rows(tmp_path / "rows.csv", written)
    first = (tmp_path / "rows.csv").read_text().splitlines()[0]
    assert first == "dataset,method,protocol,subject,metric,value,n,low,high,seen" == ",".join(rows.COLUMNS)
    back = read_records(tmp_path / "rows.csv", Row)
    assert back[0] == written[0]
    assert np.isnan([back[1].low, back[1].high]).all()


def test_the_row_of_a_seen_patient_and_of_the_cohort_are_marked():
    cases = [Case("d", "1", session="a"), Case("d", "2"), Case("e", "2")]
    given = [
        Row(case.dataset, "m", "sound", subject, "dice", 0.5, 1) for case in cases for subject in (case.label, COHORT)
    ]
    marked = {(row.dataset, row.subject): row.seen for row in rows.marked_as_seen(given, {"d/1_a"}, cases)}
    assert {key for key, seen in marked.items() if seen} == {("d", "1_a"), ("d", COHORT)}


def test_a_subject_called_cohort_does_not_mix_with_the_cohort():
    names = ["cohort", "cohort (subject)", "1"]
    assert len({COHORT, *map(rows.row_subject, names)}) == 4 and rows.row_subject("1") == "1"
    measured = [Measured(Case("d", name), {"dice": value}) for name, value in zip(names, (0.2, 0.4, 0.6), strict=True)]
    made = [
        (row.subject, round(row.value, 6), row.n)
        for row in rows.rows_of_cohort("d", "m", protocols.load("sound"), Counts.empty(), measured, 0)
        if row.metric == "dice"
    ]
    assert made == [
        ("cohort", 0.4, 3),
        ("cohort (subject)", 0.2, 1),
        ("cohort (subject) (subject)", 0.4, 1),
        ("1", 0.6, 1),
    ]
    given = [Row("d", "m", "sound", subject, "dice", 0.5, 1) for subject, *_ in made]
    marked = rows.marked_as_seen(given, {"d/cohort"}, [scan.case for scan in measured])
    assert [row.subject for row in marked if row.seen] == ["cohort", "cohort (subject)"]


def test_means_leave_out_what_is_undefined():
    measured = [Measured(Case("d", str(n)), {"dice": value}) for n, value in enumerate((0.2, 0.4, np.nan))]
    made = list(rows.rows_of_cohort("d", "m", protocols.load("sound"), Counts.empty(), measured, 0))
    (mean,) = [row for row in made if (row.subject, row.metric) == (COHORT, "dice")]
    assert (round(mean.value, 6), mean.n) == (0.3, 2)
    assert 0.2 <= mean.low <= mean.high <= 0.4
    assert [row.n for row in made if row.subject in "012"] == [1, 1, 0]
