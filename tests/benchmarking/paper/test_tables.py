"""Tables, figures and the ablation, on small heads that are judged as the paper's data sets."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace

import numpy as np
import pytest

from flairline import recipes, registry
from flairline.benchmarking import ablation
from flairline.benchmarking import judge as benchmark
from flairline.benchmarking import run as experiments
from flairline.benchmarking.judge import RecipeMaps
from flairline.benchmarking.paper import figures as paper_figures
from flairline.benchmarking.paper import tables
from flairline.evaluation import protocols
from flairline.evaluation.counts import Counts, ScanMap
from flairline.types import Case

SMALL = replace(protocols.load("experiment-1"), in_plane=None, slices=(3, 17), needs_sri24=False)
SECOND = replace(SMALL, name="experiment-2", slices=(6, 12))


def quiet(*_):
    pass


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
    maps = [RecipeMaps(recipes.load(name)) for name in ("histeq", *tables.CONTROLS)]
    return experiments.run(cases, maps, [SMALL, SECOND], experiments.Settings(tmp_path / "out"), quiet)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_published_values_are_all_there():
    known = tables.published()
    assert len(known) == 76
    assert known["4-I", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.278
    assert known["2", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.271
    assert known["1", "-", "BraTS", "anomaly_voxels_mean"] == 18027


def test_tables_have_ours_published_and_difference(done, tmp_path):
    folder = tmp_path / "out" / "tables"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{number}.{suffix}" for number in (1, 2, 3, 4) for suffix in ("csv", "md", "tex")
    )
    result = {
        (row.dataset, row.method, row.protocol, row.metric): row.value for one in done.results for row in one.rows
    }
    second = {(row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "2.csv")}
    mine = second["MSLUB", "histeq", "dice_oracle"]
    ours = result["mslub", "histeq", "experiment-1", "dice_oracle"]
    assert float(mine["published"]) == 0.374
    assert float(mine["difference"]) == pytest.approx(float(mine["ours"]) - 0.374)
    assert mine["scans"] == "2 of 30"
    assert {row["published"] for key, row in second.items() if key[1] in tables.CONTROLS} == {"nan"}
    assert float(second["MSLUB", "f-AnoGAN", "auroc"]["published"]) == 0.856
    assert ("MSLUB", "FLAIR histogram equalisation", "dice_oracle") not in second  # it is ours
    assert ours == ours
    fourth = {(row["experiment"], row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "4.csv")}
    cell = fourth["II", "MSSEG2015", "histeq", "dice_oracle"]
    assert float(cell["published"]) == 0.593
    assert cell["scans"] == "1 of 21"
    assert fourth["I", "BraTS", "FLAIR histogram equalisation", "auprc"]["ours"] == "nan"
    trivial = max(float(cell[control]) for control in tables.CONTROLS)
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
    ((found),) = tables.lesions_of_truths([case], SMALL, RecipeMaps(recipes.load("histeq")), 1, quiet)
    assert sorted(found.sizes) == [1, 49]
    first = tables.make([], [found], [case], None)[0]
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
    samples = list(paper_figures.choose_samples(result, SMALL, RecipeMaps(recipes.load("histeq"))))
    assert [sample.dataset for sample in samples] == ["MSLUB", "MSLUB", "MSSEG2015"]
    assert samples[0].truth.sum() == 16
    shown = paper_figures.as_shown(samples[0].truth)
    _, column = np.argwhere(shown).mean(axis=0)
    assert column > shown.shape[1] / 2  # the block lies on the patient's left


def test_dice_by_size_adds_up_to_the_cohorts_dice(done):
    result = done.results[0]
    dice, lesions = paper_figures.dice_by_size(result, "mslub", SMALL)
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
    few = [replace(SMALL, in_plane=15)]
    maps = [RecipeMaps(recipes.load("histeq"))]
    table, walk = ablation.run(cases[:1], maps, few[0], tmp_path / "work", 1, 0, quiet)
    ablation.write(tmp_path / "ablation", few[0], table, walk)
    base = next(row for row in table if row.field == "as it is")
    assert base.dice_change == 0
    assert (
        base.dice == benchmark.count(cases[:1], maps[0], few[0], tmp_path / "w").counts["mslub", "histeq"].oracle().dice
    )
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
    one = ScanMap.from_arrays(score, truth, brain, False)
    counts = Counts.empty()
    counts.update(one, "p", 15)
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
    for value, controls in itertools.product((float("nan"),), ([0.1, 0.2],)):
        assert tables._beats(value, controls) == ""
