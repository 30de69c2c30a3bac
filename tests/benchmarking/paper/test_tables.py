"""Tables, figures and the ablation, on small heads that are judged as the paper's data sets."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flairline import recipes, registry
from flairline.benchmarking import ablation, controls
from flairline.benchmarking.judge import Result, count
from flairline.benchmarking.paper import figures as paper_figures
from flairline.benchmarking.paper import published, tables
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import FileSource, RecipeSource
from flairline.evaluation import protocols
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.types import Case, no_progress

SMALL = replace(protocols.load("experiment-1"), in_plane=None, slices=(3, 17), needs_sri24=False)
SECOND = replace(SMALL, name="experiment-2", slices=(6, 12))


@pytest.fixture
def cases(tmp_path, save, make_head) -> list[Case]:
    made = []
    names = [("mslub", "patient01", ""), ("mslub", "patient02", ""), ("msseg2015", "training01", "01")]
    for number, (dataset, subject, session) in enumerate(names):
        head = make_head(number)
        paths = {
            name: save(tmp_path / "in" / dataset / subject / f"{name}.nii.gz", array.astype(np.int16))
            for name, array in (("flair", head.flair), ("brain", head.brain), ("truth", head.truth))
        }
        made.append(Case(dataset, subject, **paths, session=session))
    return made


@pytest.fixture
def done(cases, tmp_path):
    sources = [RecipeSource(recipes.load(name)) for name in ("histeq", *controls.names())]
    return run(Plan(cases, sources, [SMALL, SECOND], tmp_path / "out"))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_published_values_are_all_there():
    known = published.values()
    assert len(known) == 76
    assert known["4-I", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.278
    assert known["2", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.271
    assert known["1", "-", "BraTS", "anomaly_voxels_mean"] == 18027


def test_tables_have_ours_published_and_difference(done, tmp_path):
    folder = tmp_path / "out" / "tables"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{number}.{suffix}" for number in (1, 2, 3, 4) for suffix in ("csv", "md", "tex")
    )
    result = {(row.dataset, row.method, row.protocol, row.metric): row.value for row in done.rows}
    second = {(row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "2.csv")}
    mine = second["MSLUB", "histeq", "dice_oracle"]
    ours = result["mslub", "histeq", "experiment-1", "dice_oracle"]
    assert float(mine["published"]) == 0.374
    assert float(mine["difference"]) == pytest.approx(float(mine["ours"]) - 0.374)
    assert mine["scans"] == "2 of 30"
    assert {row["published"] for key, row in second.items() if key[1] in controls.names()} == {"nan"}
    assert float(second["MSLUB", "f-AnoGAN", "auroc"]["published"]) == 0.856
    assert ("MSLUB", "FLAIR histogram equalisation", "dice_oracle") not in second  # it is ours
    assert ours == ours
    fourth = {(row["experiment"], row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "4.csv")}
    cell = fourth["II", "MSSEG2015", "histeq", "dice_oracle"]
    assert float(cell["published"]) == 0.593
    assert cell["scans"] == "1 of 21"
    assert fourth["I", "BraTS", "FLAIR histogram equalisation", "auprc"]["ours"] == "nan"
    trivial = max(float(cell[control]) for control in controls.names())
    assert cell["beats_trivial"] == ("yes" if float(cell["ours"]) > trivial else "no")
    assert "brain masks as distributed" in cell["differs"]


def test_a_fragment_says_so(done, tmp_path):
    for suffix in ("md", "tex"):
        text = (tmp_path / "out" / "tables" / f"4.{suffix}").read_text()
        assert "A fragment: 2 of the 30 published scans of MSLUB, 1 of the 21 published scans of MSSEG2015" in text
    assert "\\_" in (tmp_path / "out" / "tables" / "4.tex").read_text()
    markdown = (tmp_path / "out" / "tables" / "4.md").read_text().splitlines()
    widths = {line.count("|") for line in markdown if line.startswith("|")}
    assert widths == {13}


def test_table_1_counts_the_truths_components(tmp_path, save, make_head):
    """One block of 48 voxels on the left and a second component that touches it by a corner only."""
    head = make_head()
    truth = head.truth.copy()
    truth[8, 11, 11] = True  # diagonal neighbour of the block's last voxel
    truth[10, 9, 9] = True
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    case = Case("mslub", "patient01", flair=flair, truth=save(tmp_path / "truth.nii.gz", truth.astype(np.uint8)))
    ((found),) = tables.lesions_of_truths([case], SMALL, RecipeSource(recipes.load("histeq")), 1, no_progress)
    assert sorted(found.sizes) == [1, 49]
    first = tables.make([], [found], [case], [])[0]
    cell = next(cell for cell in first.cells if (cell.dataset, cell.metric) == ("MSLUB", "anomaly_voxels_mean"))
    assert (cell.ours, cell.published, cell.scans) == (25, 106, "1 of 30")


def test_figures_are_written_as_png_and_svg(done, tmp_path):
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    for stem in ("figure2_experiment-1_histeq", "figure3_experiment-2_histeq", "precision_recall_experiment-1"):
        assert {f"{stem}.png", f"{stem}.svg"} <= names
    assert "dice_by_threshold_experiment-1_highpass.svg" in names
    assert "dice_by_lesion_size_experiment-2_intensity.png" in names
    assert "figure3_experiment-1_intensity.png" not in names


def test_samples_show_left_on_the_right_and_the_truths_slice(done):
    result = done.results[0]
    samples = list(paper_figures.choose_samples(result, RecipeSource(recipes.load("histeq"))))
    assert [sample.dataset for sample in samples] == ["MSLUB", "MSLUB", "MSSEG2015"]
    assert samples[0].truth.sum() == 16
    shown = paper_figures.as_shown(samples[0].truth)
    _, column = np.argwhere(shown).mean(axis=0)
    assert column > shown.shape[1] / 2  # the block lies on the patient's left


def test_dice_by_size_adds_up_to_the_cohorts_dice(done):
    result = done.results[0]
    dice, lesions = paper_figures.dice_by_size(result, "mslub")
    assert lesions.tolist() == [0, 0, 2, 0, 0]  # 48 voxels of 3 microlitres
    counts = result.counts["mslub", "histeq"]
    if not np.nan_to_num(dice)[[0, 1, 3, 4]].any():
        assert np.isfinite(dice[2])
        assert dice[2] >= counts.oracle().dice - 1e-9  # wholly false finds are in other classes


def test_ablation_turns_one_field_at_a_time(cases, tmp_path):
    names = [(field_name, value) for field_name, value, _ in ablation.variations(SMALL)]
    fields = {field_name for field_name, _ in names}
    assert fields >= {
        "as it is", "truth at", "labels", "slices", "grid", "voxels", "filter", "thresholds tried",
        "smallest component", "connectivity", "integer cast", "strip on", "threshold",
    }  # fmt: skip
    assert all(varied != SMALL for name, _, varied in ablation.variations(SMALL) if name != "as it is")
    assert "resize" in {name for name, _, _ in ablation.variations(protocols.load("experiment-1"))}
    assert len(set(names)) == len(names)
    small = replace(SMALL, in_plane=15)
    plan = Plan(cases[:1], [RecipeSource(recipes.load("histeq"))], [small], tmp_path)
    table, walk = ablation.run(plan, small, no_progress)
    ablation.write(tmp_path / "ablation", small, table, walk)
    base = next(row for row in table if row.field == "as it is")
    assert base.dice_change == 0
    counts = count(cases[:1], plan.sources[0], small, tmp_path / "w").counts["mslub", "histeq"]
    assert base.dice == counts.oracle().dice
    by_value = {(row.field, row.value): row for row in table}
    assert by_value["truth at", "> 0.5"].dice_change == 0  # the truth was never interpolated
    assert by_value["integer cast", "on"].dice_change == 0  # whole numbers already
    assert by_value["smallest component", "none removed"].dice != base.dice
    assert [row.value for row in walk][1:3] == ["positive scores only", "+ eroded brain"]
    assert not (tmp_path / "work" / "ablation").exists()
    text = (tmp_path / "ablation" / "dice.md").read_text()
    assert "What your Dice is made of" in text
    assert len(rows(tmp_path / "ablation" / "dice.csv")) == len(table)


def test_where_the_threshold_is_chosen():
    """Two blobs: the filter removes the small bright one, so that the best threshold moves with its place."""
    rng = np.random.default_rng(1)
    truth = np.zeros((12, 13, 14), np.bool_)
    truth[2:5, 2:5, 2:5] = True
    score = rng.random(truth.shape).astype(np.float32) * 0.6
    score[truth] += 0.2
    brain = np.ones(truth.shape, np.bool_)
    scan = JudgedScan.from_arrays(score, truth, brain, False)
    counts = Counts.empty()
    counts.update(scan, "p", 15)
    inside = counts.oracle()
    outside = replace(counts, chosen_before_filter=True).oracle()
    thresholds, before, after = counts.dice_curves()
    assert inside.dice == np.nanmax(after)
    assert outside.threshold == thresholds[int(np.nanargmax(before))]
    assert outside.dice <= inside.dice
    assert inside.threshold != outside.threshold


def test_controls_score_as_said(scan):
    highpass = registry.load("methods", "highpass")().fit(())(scan).array
    assert highpass[~scan.brain.array].max() == highpass[~scan.brain.array].min() == 0
    block = highpass[4:8, 7:11, 8:11]
    assert block.mean() > 5 * abs(highpass[scan.brain.array].mean())
    shifted = scan.with_images(flair=replace(scan.flair, array=scan.flair.array + np.float32(1000)))
    np.testing.assert_allclose(registry.load("methods", "highpass")().fit(())(shifted).array, highpass, atol=2e-2)


def test_a_method_that_does_not_beat_the_controls_is_told():
    assert tables._beats(0.5, [0.4, 0.3]) == "yes"
    assert tables._beats(0.4, [0.4, 0.3]) == "no"
    assert tables._beats(0.5, [float("nan"), float("nan")]) == ""
    assert tables._beats(float("nan"), [0.1, 0.2]) == ""


def test_each_method_meets_its_own_published_row(monkeypatch):
    """`default` is no histogram equalisation, `brightest` is; trained ones have theirs; files go by their name."""
    dense = registry.load("methods", "ae_dense")
    monkeypatch.setattr(dense, "info", replace(dense.info, published_as="AE (dense)"))
    trained = recipes.Recipe("ae_dense=models/ae", "ae_dense", model=Path("models/ae"))
    chosen = [
        recipes.Recipe("default", "synthetic_unet"),
        *map(recipes.load, ("brightest", "histeq", "paper")),
        trained,
    ]
    sources = [*map(RecipeSource, [*chosen, recipes.WITHOUT_TRAINING]), FileSource("f-AnoGAN")]
    results = [
        Result(SMALL, source.name, [Row("mslub", source.name, SMALL.name, COHORT, "dice_oracle", 0.5, 2)])
        for source in sources
    ]
    second = tables.make(results, [], [Case("mslub", "patient01")], sources)[1]
    of_mslub = [cell for cell in second.cells if (cell.dataset, cell.metric) == ("MSLUB", "dice_oracle")]
    ours = {cell.method: cell.published for cell in of_mslub if cell.ours == 0.5}
    assert {name for name, value in ours.items() if np.isnan(value)} == {"default", "training-free"}
    known = {name: value for name, value in ours.items() if not np.isnan(value)}
    assert known == {
        "brightest": 0.374,
        "histeq": 0.374,
        "paper": 0.374,
        "ae_dense=models/ae": 0.271,
        "f-AnoGAN": 0.283,
    }
    alone = {cell.method for cell in of_mslub if np.isnan(cell.ours)}
    assert alone == {"AE (spatial)", "VAE (restoration)", "GMVAE (restoration)", "SSAE (spatial)"}


def test_published_names_are_rows_of_the_published_tables():
    methods = {method for _, method, _, _ in published.values()}
    for name in registry.names("methods"):
        assert registry.load("methods", name).info.published_as in {"", *methods}


def test_controls_are_the_methods_that_say_so():
    assert controls.names() == ("intensity", "highpass")  # the columns of the tables, cheapest first


def test_a_table_is_read_back_from_its_csv(done, tmp_path):
    for path in sorted((tmp_path / "out" / "tables").glob("[0-9].csv")):
        table = tables.read(path)
        assert tables.as_csv(table) == path.read_text()
        lines = [line for line in path.with_suffix(".md").read_text().splitlines() if line.startswith("|")]
        assert len(tables.printed(table)[1]) == len(lines) - 2
