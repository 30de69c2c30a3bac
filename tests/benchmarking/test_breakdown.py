"""Figures of a benchmark by a further column of its cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flairline import recipes
from flairline.benchmarking import breakdown
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.io.tables import read_records
from flairline.report.collect import cohort_of
from flairline.types import Case


@pytest.fixture
def cases(tmp_path, save, make_head) -> list[Case]:
    made = []
    for number in range(4):
        head = make_head(number)
        paths = {
            name: save(tmp_path / "in" / str(number) / f"{name}.nii.gz", array.astype(np.int16))
            for name, array in (("flair", head.flair), ("brain", head.brain), ("truth", head.truth))
        }
        extra = {"sex": "fm"[number % 2], "scanner": "one", "code": f"x{number}"}
        made.append(Case("a", f"p{number}", **paths, site="AB"[number // 2], extra=extra))
    return made


def planned(cases, out, *by):
    return Plan(cases, [RecipeSource(recipes.load("histeq"))], [protocols.load("sound")], out, by=by)


def test_a_group_is_judged_as_a_cohort_of_its_own(cases, tmp_path):
    finished = run(planned(cases, tmp_path / "out", "sex", "site"))
    assert not finished.failures and not finished.unwritten
    rows = read_records(tmp_path / "out" / "tables" / "by_sex.csv", breakdown.BreakdownRow)
    assert {(row.group, row.scans) for row in rows} == {("f", 2), ("m", 2)}
    for label, own in (("f", cases[::2]), ("m", cases[1::2])):
        alone = run(planned(own, tmp_path / label)).rows
        wanted = {row.metric: row for row in alone if row.subject == "cohort"}
        for row in rows:
            if row.group == label and row.metric in ("dice_oracle", "auprc", "auroc", "dice_oracle_before_filter"):
                assert row.value == wanted[row.metric].value and row.n == 2
                assert (row.low, row.high) == (wanted[row.metric].low, wanted[row.metric].high)
    means = [row.value for row in finished.rows if row.metric == "dice_at_oracle" and row.subject in ("p0", "p2")]
    (ours,) = [row for row in rows if (row.group, row.metric) == ("f", "dice_at_oracle")]
    assert ours.value == pytest.approx(np.mean(means))
    text = (tmp_path / "out" / "tables" / "by_site.md").read_text()
    assert text.startswith("**By site**") and "| A | a | histeq | sound | 2 |" in text
    titles = [document.title for document in cohort_of(tmp_path / "out").documents]
    assert titles == ["By sex", "By site"]
    assert set(finished.written) == {"Figures by sex", "Figures by site"}
    run(planned(cases, tmp_path / "out", "site"))
    assert {path.name for path in (tmp_path / "out" / "tables").iterdir()} == {"by_site.csv", "by_site.md"}


def test_a_column_that_is_missing_or_makes_no_groups_is_refused_before_anything_runs(cases, tmp_path):
    for column, why in (
        ("age", r"\(site, sex, scanner, code\), found none called 'age'"),
        ("scanner", r"the same of every scan \(one\)"),
        ("code", "4 different values in 4 scans"),
    ):
        with pytest.raises(InputError, match=why):
            run(planned(cases, tmp_path / "out", column))
    assert not (tmp_path / "out" / "rows.csv").exists()


def test_numbers_come_in_bins_that_are_stated(cases, tmp_path):
    aged = [replace(case, extra={"age": str(age)}) for case, age in zip(cases, (30, 31, 62, 70), strict=True)]
    more = [
        replace(case, subject=f"{case.subject}b", extra={"age": str(age)})
        for case, age in zip(cases, (44, 45, 80, 81), strict=True)
    ]
    run(planned(aged + more, tmp_path / "out", "age"))
    text = (tmp_path / "out" / "tables" / "by_age.md").read_text()
    assert "20 to <40" in text and "- age: bins of 20 from 20 to 100" in text
