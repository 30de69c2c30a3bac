"""Where the Dice goes, from maps and scans on disk to tables and pictures: volumes that are known by construction."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS

from flairline import recipes
from flairline.benchmarking import error_pictures, error_tables, errors, judge
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import FileSource, RecipeSource
from flairline.evaluation import protocols
from flairline.evaluation.errors import FIGURES
from flairline.io.nifti import write_mask, write_volume
from flairline.io.tables import read_records
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Case, Mask

SPACING_MM = (3.0, 2.0, 4.0)
VOXEL_ML = 0.024
MOVED = 8
"""Voxels of 2 mm by which the mask is shifted to the front: it touches the lesion and goes 16 mm beyond it."""


def case_of(folder, orientation: str = "RAS", subject: str = "s") -> tuple[Case, Mask, Mask]:
    """A phantom with a tumour and a small lesion; a mask that is the tumour moved, and an island; all as files."""
    lesions = [Lesion("tumour", (-38.0, 15.0, 22.0)), Lesion("punctate", (30.0, -20.0, 30.0), 8.0)]
    scan, truth, _ = phantom(7, SPACING_MM, lesions, orientation)
    middle = truth.array.shape[0] // 2
    tumour = truth.array.copy()
    tumour[middle:] = False
    array = np.roll(tumour, MOVED, axis=1)
    array[middle + 8 : middle + 10, 20:22, 20:22] = True
    mask = Mask(array & scan.brain.array, truth.space)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.nii.gz" for name in ("flair", "brain", "truth", "mask")}
    write_volume(paths["flair"], scan.flair)
    for name, image in (("brain", scan.brain), ("truth", truth), ("mask", mask)):
        write_mask(paths[name], image)
    return Case("phantoms", subject, **paths), mask, truth


def figures_of(path) -> dict[str, float]:
    rows = read_records(path, Row)
    return {row.metric: row.value for row in rows if row.subject == "cohort"}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_figures_and_pieces_of_a_phantom_are_those_of_its_construction(orientation, tmp_path):
    case, mask, truth = case_of(tmp_path / "in", orientation)
    finished = run(Plan([case], [FileSource()], [protocols.load("sound")], tmp_path / "out", errors=True))
    assert not finished.failures and not finished.unwritten
    found = figures_of(tmp_path / "out/errors/figures.csv")
    assert list(found) == list(FIGURES)
    island, small = 8 * VOXEL_ML, np.count_nonzero(truth.array[truth.array.shape[0] // 2 :]) * VOXEL_ML
    assert found["false_islands_ml"] == pytest.approx(island)
    assert found["missed_lesions_ml"] == pytest.approx(small)
    false = np.count_nonzero(mask.array & ~truth.array) * VOXEL_ML
    assert found["false_far_ml"] + found["false_border_ml"] == pytest.approx(false - island)
    missing = np.count_nonzero(truth.array & ~mask.array) * VOXEL_ML
    assert found["missed_inside_ml"] == pytest.approx(missing - small)
    assert found["false_far_ml"] > found["false_border_ml"] > 0
    rows = {row.metric: row.value for row in finished.rows if row.subject == "cohort"}
    assert {name: rows[name] for name in FIGURES if name in rows} == pytest.approx(
        {name: found[name] for name in FIGURES if name in rows}
    )
    with (tmp_path / "out/errors/pieces.csv").open(newline="") as file:
        pieces = list(csv.DictReader(file))
    middle = truth.array.shape[0] / 2
    assert all((int(piece["x"]) >= middle) == (piece["kind"] in ("island", "missed")) for piece in pieces)
    (picture,) = (tmp_path / "out/errors/pictures").rglob("*.png")
    assert picture.name == "phantoms-s-sound.png" and picture.parent.name == "files"


def test_the_parts_add_up_to_the_figures(tmp_path):
    cases = [case_of(tmp_path / name, subject=name)[0] for name in ("a", "b")]
    source, protocol = FileSource(), protocols.load("sound")
    result = judge.judge(cases, source, protocol, tmp_path / "work")
    (cohort,) = errors.look([result], [source], tmp_path)
    assert cohort.mask == errors.OWN and [scan.case.subject for scan in cohort.scans] == ["a", "b"]
    parts = list(error_tables.parts_of(cohort))
    for by in ("region", "size"):
        chosen = [part for part in parts if part.by == by]
        assert chosen and all(part.part for part in chosen)
        for name in (name for name in FIGURES if name.endswith("_ml")):
            assert sum(getattr(part, name) for part in chosen) == pytest.approx(cohort.mean(name))
        assert (sum(part.lesions for part in chosen), sum(part.touched for part in chosen)) == (4, 2)
        assert sum(part.islands for part in chosen) == 2
    assert [part.part for part in parts if part.by == "size" and part.islands] == ["0.1 to 1 ml"]
    text = error_tables.table([cohort])
    assert "| mean over the scans | phantoms (2) | mean of the data sets |" in text
    assert all(words in text for words in FIGURES.values())


def test_regions_are_those_of_the_atlas_and_unknown_without_a_flair(tmp_path):
    case, _, _ = case_of(tmp_path / "in")
    without = Case("phantoms", "bare", brain=case.brain, truth=case.truth, mask=case.mask)
    source, protocol = FileSource(), protocols.load("sound")
    result = judge.judge([case, without], source, protocol, tmp_path / "work")
    (cohort,) = errors.look([result], [source], tmp_path)
    placed, bare = cohort.scans
    assert not placed.note and all(piece.region for piece in placed.pieces)
    assert "not known" in bare.note and not any(piece.region for piece in bare.pieces)
    drawn = error_pictures.draw(tmp_path / "pictures", [cohort], [result])
    assert [path.name for path in drawn] == ["phantoms-s-sound.png"]


def test_a_method_without_a_threshold_is_taken_apart_at_the_oracle(cases, small, tmp_path):
    """And in the judged slices alone, which the pictures find again in the whole volume."""
    source = RecipeSource(recipes.load("histeq"))
    result = judge.judge(cases, source, small, tmp_path / "work")
    cohorts = errors.look([result], [source], tmp_path)
    assert [cohort.mask for cohort in cohorts] == [errors.ORACLE] * 2
    rows = {(row.dataset, row.subject, row.metric): row.value for row in result.rows}
    for cohort in cohorts:
        assert "a part of the slices" in cohort.scans[0].note
        dice = rows[cohort.dataset, "cohort", "dice_at_oracle"]
        assert cohort.mean("dice") == pytest.approx(dice) and dice > 0
    drawn = error_pictures.draw(tmp_path / "pictures", cohorts, [result])
    assert len(drawn) == sum(len(error_pictures.worst_scans(cohort)) for cohort in cohorts) > 0


def test_the_worst_scans_and_places_come_first(tmp_path):
    good, bad = (case_of(tmp_path / name, subject=name)[0] for name in ("good", "bad"))
    good = Case("phantoms", "good", flair=good.flair, brain=good.brain, truth=good.truth, mask=good.brain)
    source, protocol = FileSource(), protocols.load("sound")
    result = judge.judge([good, bad], source, protocol, tmp_path / "work")
    (cohort,) = errors.look([result], [source], tmp_path)
    order = [scan.figures["dice"] for scan in error_pictures.worst_scans(cohort)]
    assert order == sorted(order) and len(order) == 2 and not math.isnan(order[0])
    places = error_pictures.worst_places(cohort.scans[1])
    wrong = sorted((piece.ml for piece in cohort.scans[1].pieces if piece.kind != "found"), reverse=True)
    assert f"{wrong[0]:.2g} ml" in places[0].words and len(places) == min(6, len(wrong))
