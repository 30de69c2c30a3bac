"""`flairline evaluate`: scores and masks that another program made."""

from __future__ import annotations

import csv

import numpy as np
import pytest


def rows_of(out) -> list[dict[str, str]]:
    with (out / "rows.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        return list(reader)


def value(rows, dataset, subject, metric) -> float:
    (row,) = [row for row in rows if (row["dataset"], row["subject"], row["metric"]) == (dataset, subject, metric)]
    return float(row["value"])


def test_evaluate_a_mask_alone(tmp_path, flairline, save, head):
    mask = head.truth.copy()
    mask[4] = False
    save(tmp_path / "mask.nii.gz", mask.astype(np.uint8))
    save(tmp_path / "truth.nii.gz", head.truth.astype(np.uint8), "LPS")
    (tmp_path / "maps.csv").write_text("dataset,subject,truth,mask\nd,1,truth.nii.gz,mask.nii.gz\n")
    arguments = ["evaluate", tmp_path / "maps.csv", "--protocol", "native", "--name", "theirs", "-o", tmp_path / "out"]
    ran = flairline(*arguments)
    assert ran.code == 0, ran.err
    rows = rows_of(tmp_path / "out")
    assert value(rows, "d", "1", "dice") == pytest.approx(2 * 36 / (36 + 48))
    assert value(rows, "d", "cohort", "dice_oracle") == pytest.approx(2 * 36 / (36 + 48))
    assert {row["method"] for row in rows} == {"theirs"}
    ran = flairline("evaluate", tmp_path / "maps.csv", "--protocol", "sound", "-o", tmp_path / "out")
    assert ran.code == 2 and "neither brain nor flair" in ran.line


def test_errors_are_taken_apart_where_they_are_asked_for(tmp_path, flairline, save, head):
    mask = head.truth.copy()
    mask[4] = False
    for name, array in (("flair", head.flair), ("mask", mask.astype(np.uint8)), ("truth", head.truth.astype(np.uint8))):
        save(tmp_path / f"{name}.nii.gz", array)
    header = "dataset,subject,flair,truth,mask\n"
    (tmp_path / "maps.csv").write_text(header + "d,1,flair.nii.gz,truth.nii.gz,mask.nii.gz\n")
    arguments = ["evaluate", tmp_path / "maps.csv", "--pages", "none", "-o", tmp_path / "out"]
    ran = flairline(*arguments)
    assert ran.code == 0 and not (tmp_path / "out" / "errors").exists()
    ran = flairline(*arguments, "--errors")
    assert ran.code == 0, ran.err
    assert str(tmp_path / "out/errors/table.md") in ran.out
    folder = tmp_path / "out" / "errors"
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert written == ["figures.csv", "parts.csv", "pictures/files/d-1-sound.png", "pieces.csv", "table.md"]
    with (folder / "figures.csv").open(newline="") as file:
        figures = list(csv.DictReader(file))
    assert value(figures, "d", "1", "missed_inside_ml") == pytest.approx(12 * 0.003)
    assert value(figures, "d", "cohort", "dice_with_whole_lesions") == 1
