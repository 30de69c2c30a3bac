"""Judging: counts by hand, resuming, several jobs, patients with several scans."""

import dataclasses

import numpy as np
import pytest

from flairline import recipes
from flairline.benchmarking import judge as judging
from flairline.benchmarking.source import FileSource, RecipeSource
from flairline.cases.table import CaseTable
from flairline.evaluation import protocols
from flairline.evaluation.counts import N_REPLICATES, poisson_weights
from flairline.imaging.components import remove_small_components


@pytest.fixture
def cases(tmp_path, save, make_head):
    """Two data sets; the second has a patient without lesions and one with two sessions."""
    rows = ["dataset,subject,session,site,flair,brain,truth"]
    for number, (dataset, subject, session) in enumerate(
        [("a", "1", ""), ("a", "2", ""), ("b", "1", "s1"), ("b", "1", "s2"), ("b", "healthy", "")]
    ):
        head = make_head(number)
        save(tmp_path / f"flair{number}.nii.gz", head.flair)
        save(tmp_path / f"truth{number}.nii.gz", (head.truth & (subject != "healthy")).astype(np.uint8))
        rows.append(f"{dataset},{subject},{session},,flair{number}.nii.gz,,truth{number}.nii.gz")
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def judge(cases, work, method="histeq", protocol="native", **words):
    source = RecipeSource(recipes.load(method))
    return judging.judge(CaseTable(cases).cases(), source, protocols.load(protocol), work, **words)


def judged_rows(cases, work, *arguments, **words) -> list[dict]:
    """As the command writes them, without its pages."""
    return [dataclasses.asdict(row) for row in judge(cases, work, *arguments, **words).rows]


def value(rows, dataset, subject, metric) -> float:
    (row,) = [row for row in rows if (row["dataset"], row["subject"], row["metric"]) == (dataset, subject, metric)]
    return float(row["value"])


def test_figures_agree_with_the_rule_worked_out_by_hand(tmp_path, make_head, cases):
    """native: 100 thresholds over the cohort, `score > t`, best before the filter, Dice after it."""
    rows = judged_rows(cases, tmp_path / "work")
    heads = [make_head(number) for number in (0, 1)]
    maps = []
    for head in heads:
        inside = head.flair[head.brain]
        score = np.zeros(head.flair.shape, np.float32)
        score[head.brain] = [(inside <= grey).mean() for grey in inside]
        maps.append(score)
    truth = np.stack([head.truth for head in heads])

    def dice(mask):
        return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())

    thresholds = np.linspace(0, 1, 100)
    before = [dice(np.stack([score > limit for score in maps])) for limit in thresholds]
    best = int(np.argmax(before))
    rule = protocols.load("native").components
    kept = np.stack([remove_small_components(score > thresholds[best], rule) for score in maps])
    assert value(rows, "a", "cohort", "dice_oracle_before_filter") == pytest.approx(before[best])
    assert dice(np.stack([score > value(rows, "a", "cohort", "threshold_oracle") for score in maps])) == before[best]
    assert value(rows, "a", "cohort", "dice_oracle") == pytest.approx(dice(kept))
    assert dice(kept) > before[best], "the lone bright voxel should be filtered"


def test_a_recipe_with_a_threshold_has_a_dice_without_labels(tmp_path, cases):
    rows = judged_rows(cases, tmp_path / "work", "brightest", "sound")
    assert 0 < value(rows, "a", "1", "dice") < 1 and np.isnan(value(rows, "b", "healthy", "dice"))
    assert value(rows, "b", "healthy", "false_positive_ml") > 0


def same_rows(one, other) -> bool:
    return repr(one.rows) == repr(other.rows)


class Stopped(KeyboardInterrupt):
    """As if the machine went down."""


def test_an_interrupted_run_goes_on(tmp_path, cases, monkeypatch):
    whole = judge(cases, tmp_path / "whole")
    scored, make = [], RecipeSource.make

    def some(self, case, protocol):
        scored.append(case.flair.name)
        if len(scored) == 3:
            raise Stopped
        return make(self, case, protocol)

    monkeypatch.setattr(RecipeSource, "make", some)
    with pytest.raises(Stopped):
        judge(cases, tmp_path / "work")
    again = judge(cases, tmp_path / "work")
    assert scored == [f"flair{number}.nii.gz" for number in (0, 1, 2, 2, 3, 4)]
    assert same_rows(whole, again)


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_score_is_made_again(tmp_path, cases, damage):
    whole = judge(cases, tmp_path / "work")
    for path in (tmp_path / "work").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    assert same_rows(whole, judge(cases, tmp_path / "work"))


def test_a_changed_file_or_setting_is_scored_again(tmp_path, cases, save, make_head):
    before = judge(cases, tmp_path / "work")
    head = make_head(0)
    save(tmp_path / "truth0.nii.gz", np.roll(head.truth, 1, 0).astype(np.uint8))
    assert not same_rows(before, judge(cases, tmp_path / "work"))
    assert judge(cases, tmp_path / "work", "intensity").counts["a", "intensity"].maximum > 100


def test_several_jobs_give_the_same_rows(tmp_path, cases):
    assert same_rows(judge(cases, tmp_path / "one"), judge(cases, tmp_path / "two", jobs=2))


def test_sessions_of_a_patient_are_drawn_together(tmp_path, cases):
    """Three scans of two patients: replicates hold what the patients' weights say, not the scans'."""
    result = judge(cases, tmp_path / "work", seed=5)
    counts = result.counts["b", "histeq"]
    sick, healthy = poisson_weights("b/1", 5), poisson_weights("b/healthy", 5)
    positives = counts.replicates[:, 0].sum(axis=1)
    np.testing.assert_array_equal(positives, sick * counts.positives)
    voxels = 15 * 17 * 19
    np.testing.assert_array_equal(counts.replicates[:, :2].sum(axis=(1, 2)), voxels * (2 * sick + healthy))
    assert sick.size == N_REPLICATES


def test_one_patient_alone_has_no_interval(tmp_path, cases):
    lines = cases.read_text().splitlines()
    cases.write_text("\n".join([lines[0], lines[3], lines[4]]) + "\n")
    cohort = [row for row in judged_rows(cases, tmp_path / "work") if row["subject"] == "cohort"]
    assert cohort and np.isnan([(row["low"], row["high"]) for row in cohort]).all()


def test_intervals_hold_the_value_and_repeat(tmp_path, cases):
    one, two = (judge(cases, tmp_path / "work", "intensity", "sound", seed=3) for _ in range(2))
    assert same_rows(one, two)
    held = [row for row in one.rows if row.subject == "cohort" and row.metric in ("auroc", "auprc", "dice_at_oracle")]
    assert all(row.low - 1e-9 <= row.value <= row.high + 1e-9 for row in held if not np.isnan(row.low))
    assert sum(not np.isnan(row.low) for row in held) >= 4


def test_evaluate_judges_our_own_scores_as_benchmark_does(tmp_path, flairline, cases):
    flairline("segment", "--cases", cases, "--method", "histeq", "--no-report", "-o", tmp_path / "maps")
    lines = ["dataset,subject,session,brain,truth,score"]
    for line in cases.read_text().splitlines()[1:]:
        dataset, subject, session, _, _, _, truth = line.split(",")
        name = "_".join(part for part in (subject, session) if part)
        folder = tmp_path / "maps" / name
        if not folder.exists():
            folder = tmp_path / "maps" / f"{dataset}_{name}"
        lines.append(f"{dataset},{subject},{session},{folder}/brain.nii.gz,{truth},{folder}/score.nii.gz")
    (tmp_path / "maps.csv").write_text("\n".join(lines) + "\n")
    maps = CaseTable(tmp_path / "maps.csv").cases(required=("truth",))
    for protocol in ("native", "sound"):
        theirs = judging.judge(maps, FileSource("histeq"), protocols.load(protocol), tmp_path / "work")
        assert not theirs.failures
        assert same_rows(judge(cases, tmp_path / "work", protocol=protocol), theirs)


@pytest.mark.parametrize(("protocol", "first"), [("native", "auprc"), ("sound", "dice")])
def test_figures_of_scans_come_first_where_the_protocol_says_so(tmp_path, cases, protocol, first):
    assert next(row["metric"] for row in judged_rows(cases, tmp_path / "work", protocol=protocol)) == first
