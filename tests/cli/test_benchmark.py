"""`flairline benchmark`: rows, manifest, failures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

COLUMNS = ["dataset", "method", "protocol", "subject", "metric", "value", "n", "low", "high", "seen"]
COHORT_METRICS = {
    "auprc",
    "auroc",
    "auroc_brain",
    "average_precision",
    "dice_oracle",
    "dice_oracle_before_filter",
    "threshold_oracle",
}
SCAN_METRICS = {
    "dice",
    "dice_at_oracle",
    "lesion_f1",
    "lesion_recall",
    "hd95_mm",
    "volume_error_ml",
    "false_positive_ml",
    "false_islands_ml",
    "false_far_ml",
    "false_border_ml",
    "missed_lesions_ml",
    "missed_inside_ml",
    "ppv",
    "sensitivity",
}


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


def rows_of(out) -> list[dict[str, str]]:
    with (out / "rows.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS
        return list(reader)


def value(rows, dataset, subject, metric) -> float:
    (row,) = [row for row in rows if (row["dataset"], row["subject"], row["metric"]) == (dataset, subject, metric)]
    return float(row["value"])


@pytest.mark.parametrize("protocol", ["native", "sound"])
def test_rows_and_manifest(tmp_path, flairline, cases, protocol):
    out = tmp_path / "out"
    ran = flairline("benchmark", "--cases", cases, "--method", "histeq", "--protocol", protocol, "-o", out)
    assert ran.code == 0, ran.err
    rows = rows_of(out)
    assert {(row["method"], row["protocol"]) for row in rows} == {("histeq", protocol)}
    for dataset, subjects in (("a", {"1", "2"}), ("b", {"1_s1", "1_s2", "healthy"})):
        own = [row for row in rows if row["dataset"] == dataset]
        assert {row["subject"] for row in own} == {"cohort", *subjects}
        assert {row["metric"] for row in own if row["subject"] == "cohort"} >= COHORT_METRICS | SCAN_METRICS
        assert {row["metric"] for row in own if row["subject"] in subjects} >= SCAN_METRICS
        assert len({(row["subject"], row["metric"]) for row in own}) == len(own)
    assert value(rows, "a", "1", "dice_at_oracle") > 0.9
    assert np.isnan(value(rows, "b", "healthy", "dice_at_oracle"))
    assert value(rows, "b", "healthy", "false_positive_ml_at_oracle") > 0
    assert np.isnan(value(rows, "a", "1", "dice")), "the method alone has no threshold of its own"
    mean = np.mean([value(rows, "b", name, "dice_at_oracle") for name in ("1_s1", "1_s2")])
    assert value(rows, "b", "cohort", "dice_at_oracle") == pytest.approx(mean)
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest) >= {"versions", "parameters", "files", "failures", "seconds", "peak_memory_mb"}
    assert len(manifest["files"]) == 10 and all(len(digest) == 64 for digest in manifest["files"].values())
    assert manifest["parameters"]["protocol"]["name"] == protocol and manifest["seconds"] > 0
    assert manifest["peak_memory_mb"] > 10 and manifest["failures"] == []
    assert not (out / "work").exists()


def test_one_bad_scan_is_named_and_the_rest_is_done(tmp_path, flairline, cases):
    (tmp_path / "flair1.nii.gz").write_bytes(b"")
    ran = flairline("benchmark", "--cases", cases, "--method", "histeq", "-o", tmp_path / "out")
    assert ran.code == 1 and "a/2: " in ran.line and "is empty" in ran.line
    assert {row["subject"] for row in rows_of(tmp_path / "out") if row["dataset"] == "a"} == {"cohort", "1"}
    (failure,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["failures"]
    assert failure["scan"] == "a/2"


def test_a_cohort_without_truths_or_lesions_is_no_error(tmp_path, flairline, cases):
    text = cases.read_text().splitlines()
    cases.write_text("\n".join([text[0], text[1].rsplit(",", 1)[0] + ",", text[5]]) + "\n")
    ran = flairline("benchmark", "--cases", cases, "--method", "histeq", "-o", tmp_path / "out")
    assert ran.code == 0 and "a/1" in ran.out
    rows = rows_of(tmp_path / "out")
    assert np.isnan(value(rows, "a", "cohort", "dice_oracle")) and np.isnan(value(rows, "b", "cohort", "auroc"))


def test_several_methods_with_kept_scores_as_json(tmp_path, flairline, cases):
    arguments = ["benchmark", "--cases", cases, "--method", "histeq", "--method", "intensity", "--keep-maps", "--json"]
    ran = flairline(*arguments, "-o", tmp_path / "out")
    printed = json.loads(ran.out)
    assert ran.code == 0 and printed["failures"] == {} and set(printed["rows"][0]) == set(COLUMNS)
    assert {row["method"] for row in rows_of(tmp_path / "out")} == {"histeq", "intensity"}
    assert len(list((tmp_path / "out" / "work").rglob("*.npz"))) == 10
