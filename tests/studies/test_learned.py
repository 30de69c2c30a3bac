"""The zoo: what it trains on what, what it keeps of each method, and what is drawn of that."""

from __future__ import annotations

import csv
import importlib
import itertools
import math
from pathlib import Path

import pytest

NAN = float("nan")


@pytest.fixture(autouse=True)
def studies(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture
def learned():
    pytest.importorskip("torch")
    return importlib.import_module("studies.learned")


@pytest.fixture
def kept():
    return importlib.import_module("studies.learned_results")


@pytest.fixture
def tables():
    return importlib.import_module("studies.learned_tables")


def scores(kept, dice, dataset="mslub", protocol="baur", slices="all"):
    return tuple(kept.Score(dataset, protocol, slices, metric, dice, n=2) for metric in ("dice_oracle", "auprc"))


@pytest.fixture
def found(kept):
    """Lines, one method that the paper has and that beats histeq, one on 12 slices, one that has not converged."""
    few = (*scores(kept, 0.4), *scores(kept, 0.6, slices="12"))
    when = {"date": "2026-11-26", "commit": "abcdef0"}
    ae = {"convergence": "yes", "l1_healthy": 0.05, "seconds": 240.0, "steps": 900, "preset": "small"}
    return [
        kept.Learned("ae_dense", "ae_dense", "AE (dense)", "200 people", **ae, **when, scores=scores(kept, 0.5)),
        kept.Learned("histeq", "", "FLAIR histogram equalisation", "", scores=few),
        kept.Learned("newer", "newer", "", "200 people", convergence="no", scores=scores(kept, 0.1)),
        kept.Learned(
            "slow",
            "vae",
            "VAE (restoration)",
            "200 people",
            failures=("mslub/07: why.",),
            scores=scores(kept, 0.5, slices="12"),
        ),
    ]


@pytest.mark.parametrize(
    ("values", "converged"),
    [
        ([1.0, 0.5, 0.4, 0.3, 0.298, 0.299], "yes"),  # .3 to .298 is two thirds of a per cent
        ([1.0, 0.5, 0.4, 0.3, 0.29, 0.31], "no"),
        ([1.0, 0.5, 0.4, 0.3, 0.35, 0.31], "yes"),  # it only got worse
        ([-1.0, -2.0, -2.5, -3.0, -3.1, -3.2], "no"),  # a loss below zero
        ([NAN, NAN, NAN, NAN, 0.3, 0.3], "unknown"),
        ([], "-"),
    ],
)
def test_converged_is_an_improvement_below_one_per_cent_in_the_last_fifth(kept, values, converged):
    assert kept.convergence([40, 60, 70, 80, 90, 100][: len(values)], values) == converged


def test_one_validation_at_the_end_says_nothing(kept):
    assert kept.convergence([100], [0.5]) == "unknown"


def test_what_is_kept_of_a_method_comes_back(kept, tmp_path, found):
    for result in found:
        kept.write_result(tmp_path / f"{result.method}.json", result)
    again = kept.read_results(tmp_path)
    assert [result.method for result in again] == ["ae_dense", "histeq", "newer", "slow"]
    assert again[0].value("mslub", "baur", "all", "auprc") == 0.5 and again[0].steps == 900
    assert again[3].failures == ("mslub/07: why.",)
    assert math.isnan(again[0].scores[0].low) and math.isnan(again[2].l1_healthy)


def test_a_method_is_compared_on_its_own_slices(tables, found):
    ae, _, newer, slow = found
    assert tables.beats(ae, found, "histeq", "mslub", "baur")
    assert not tables.beats(newer, found, "histeq", "mslub", "baur")
    assert not tables.beats(slow, found, "histeq", "mslub", "baur")  # .5 on 12 slices, histeq .6 there
    text = tables.sentences(found)
    assert "- mslub, `baur`: 1 of 3 beat `histeq`: `ae_dense`." in text
    assert "- Could not be judged: `slow` on mslub/07: why." in text
    assert "Not converged when their time was up: `newer`." in text


def test_the_papers_tables_have_a_column_for_every_system_and_no_invented_number(tables, found):
    columns, lines = tables.paper_table(found, "2")
    rows = {tuple(line[:2]): dict(zip(columns, line, strict=True)) for line in lines}
    assert {"AE (dense)", "f-AnoGAN", "newer", "FLAIR histogram equalisation"} <= set(columns)
    assert "ae_dense" not in columns and "histeq" not in columns  # their columns have the paper's names
    dice = rows["MSLUB", "dice_oracle"]
    assert dice["AE (dense)"] == "0.500 / 0.271" and dice["f-AnoGAN"] == "- / 0.283"
    assert dice["newer"] == "0.100 / -" and dice["VAE (restoration)"] == "0.500 (12 slices) / 0.333"
    assert rows["MSSEG2015", "auroc"]["SSAE (spatial)"] == "- / -"
    columns, lines = tables.paper_table(found, "3")
    assert columns[2] == "VQ-VAE + transformer" and lines[0][:3] == ["BraTS", "dice_oracle", "- / 0.759"]
    assert [line[0] for line in lines] == ["BraTS", "MSLUB", "WMH"]


def test_table_and_figure_are_drawn_of_the_files_alone(kept, tables, tmp_path, found):
    assert tables.write_tables(tmp_path) == []
    for result in found:
        kept.write_result(tmp_path / "data" / "learned" / f"{result.method}.json", result)
    assert [path.name for path in tables.write_tables(tmp_path)] == ["zoo.md", "zoo.png", "zoo.svg"]
    text = (tmp_path / "zoo.md").read_text()
    assert "| `ae_dense` | all | 0.500, 0.500, - | 200 people | small | 4.0 | 900 | yes | 0.0500 | - | mslub |" in text
    assert text.count("| `histeq` |") == 2 and "](zoo.png)" in text
    assert text == importlib.import_module("studies.tables").filled(tmp_path / "zoo.md")
    assert "*`python -m studies.learned -o OUT --results docs/results`, 2026-11-26, commit abcdef0.*" in text
    before = (tmp_path / "zoo.svg").read_bytes()
    tables.write_tables(tmp_path)
    assert (tmp_path / "zoo.svg").read_bytes() == before and b">mslub</text>" in before


def test_the_figure_has_lines_marks_and_hollow_ones(tables, found):
    with_sound = [
        type(result)(
            **{**vars(result), "scores": tuple(type(s)(**{**vars(s), "protocol": "sound"}) for s in result.scores)}
        )
        for result in found
    ]
    (axes,) = tables.draw(with_sound).axes
    marks = {line.get_marker(): line for line in axes.lines if line.get_marker() in ("o", "^")}
    assert set(marks) == {"o", "^"}
    assert [text.get_text() for text in axes.texts] == ["ae_dense", "newer", "slow"]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert len(hollow) == 1 and hollow[0].get_xdata()[0] > 0.05  # `newer` reconstructs nothing: at the right
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["histeq"]


def test_a_method_that_must_learn_from_patients_gets_no_truth(learned, tmp_path):
    zoo = learned.quick_zoo(tmp_path, tmp_path / "results")
    with zoo.patients().open() as file:
        rows = list(csv.DictReader(file))
    assert rows and "truth" not in rows[0] and Path(rows[0]["flair"]).exists()
    with zoo.healthy().open() as file:
        assert "truth" in next(csv.reader(file))
    assert (zoo.budget("ae_dense"), learned.MINUTES, learned.LONGER["fanogan"]) == (0.2, 4.0, 10.0)


def test_every_learned_method_is_in_the_zoo_and_the_slow_ones_fellow_beside_it(learned):
    families = learned.learning()
    assert families["vae_restoration"] == "vae" and "ae_dense" in families and "synthetic_unet" not in families
    assert "histeq" not in families and "vae" in learned.beside_iterative(families)


def test_what_fails_is_named_and_what_is_there_is_not_run_again(learned, tmp_path, monkeypatch, capsys):
    zoo = learned.quick_zoo(tmp_path, tmp_path / "results")
    called = []

    def method(zoo, name, family, few):
        called.append(name)
        if name == "broken":
            raise learned.FlairlineError("no weights")
        learned.write_result(zoo.result(name), learned.Learned(name, family, "", ""))

    monkeypatch.setattr(learned, "run_method", method)
    monkeypatch.setattr(learned, "run_line", lambda zoo, name: method(zoo, name, "", False))
    monkeypatch.setattr(learned, "beside_iterative", lambda families: set())
    families = {"a": "a", "broken": "broken", "c": "c"}
    assert learned.run_zoo(zoo, families) == {"broken": "no weights"}
    assert called == [*zoo.lines, "a", "broken", "c"] and "broken: failed" in capsys.readouterr().out
    called.clear()
    learned.run_zoo(zoo, families)
    assert called == ["broken"]


def test_what_another_run_is_at_comes_last_and_is_waited_for(learned, tmp_path, monkeypatch, capsys):
    from filelock import FileLock

    zoo = learned.quick_zoo(tmp_path, tmp_path / "results")
    (zoo.out / "locks").mkdir(parents=True)
    other, called = FileLock(zoo.out / "locks" / "a.lock"), []
    other.acquire()

    def method(zoo, name, family, few):
        called.append(name)
        learned.write_result(zoo.result(name), learned.Learned(name, family, "", ""))
        if name == "c":
            learned.write_result(zoo.result("a"), learned.Learned("a", "a", "", ""))  # the other run is done with it
            other.release()

    monkeypatch.setattr(learned, "run_method", method)
    monkeypatch.setattr(learned, "run_line", lambda zoo, name: method(zoo, name, "", False))
    monkeypatch.setattr(learned, "beside_iterative", lambda families: set())
    assert learned.run_zoo(zoo, {"a": "a", "also_a": "a", "c": "c"}) == {}
    assert called == [*zoo.lines, "c", "also_a"]
    assert "a: another run is at a; it comes last" in capsys.readouterr().out


@pytest.mark.parametrize("made", [True, False])
def test_a_training_that_left_scans_out_is_one_and_one_without_a_model_is_none(learned, tmp_path, monkeypatch, made):
    zoo = learned.quick_zoo(tmp_path, tmp_path / "results")
    asked = []

    def fit(command, **words):
        asked.append(command)
        if made:
            (Path(command[command.index("-o") + 1]) / "config.json").write_text("{}")

    monkeypatch.setattr(learned.subprocess, "run", fit)
    if made:
        assert learned.train(zoo, "segae") == tmp_path / "models" / "segae"
        assert learned.train(zoo, "segae").exists() and len(asked) == 1  # it is there
    else:
        with pytest.raises(learned.FlairlineError, match="fit segae made no model"):
            learned.train(zoo, "segae")
    (_, _, family, _, table, *_), *_ = asked
    assert (family, table) == ("segae", str(zoo.patients()))


def test_a_scan_that_cannot_be_judged_is_named_and_the_others_count(learned, tmp_path):
    zoo = learned.quick_zoo(tmp_path, tmp_path / "results")
    lines = zoo.tables[0].read_text().splitlines()
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    flair = lines[2].split(",")[2]
    zoo.tables[0].write_text("\n".join([lines[0], lines[1], lines[2].replace(flair, str(broken))]) + "\n")
    result = learned.run_line(zoo, "intensity")
    assert result.scores and {score.n for score in result.scores} == {1}
    (why,) = result.failures
    assert why.startswith("mslub/sub-002: Wanted a NIfTI file") and "OUT/broken.nii.gz" in why
    assert str(tmp_path) not in zoo.result("intensity").read_text()


def test_the_whole_of_it_on_phantoms(learned, kept, tmp_path, capsys):
    pytest.importorskip("lightning")
    words = ["--quick", "-o", str(tmp_path), "--method", "vae_restoration"]
    assert learned.main(words) == 0
    results = {result.method: result for result in kept.read_results(tmp_path / "results" / "data" / "learned")}
    assert set(results) == {"histeq", "intensity", "highpass", "vae_restoration"}
    slow = results["vae_restoration"]
    assert (slow.family, slow.preset, slow.slices, slow.trained_on) == (
        *("vae", "test", "12"),
        "3 synthetic people without lesions",
    )
    assert slow.steps == 40 and slow.l1_healthy > 0 and slow.convergence in ("yes", "no")
    assert 0 <= slow.value("mslub", "sound", "12", "dice_oracle") <= 1
    assert not math.isnan(results["histeq"].value("mslub", "native", "12", "auroc"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results" / "data" / "learned").iterdir()}
    assert learned.main(words) == 0  # nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert str(tmp_path) not in (tmp_path / "results" / "data" / "learned" / "vae_restoration.json").read_text()


def test_labels_keep_their_order_and_do_not_touch(tables):
    values = [0.2, 0.21, 0.9, 0.2, 0.99, 1.0, 0.0]
    heights = tables.label_heights(values, 0.1)
    order = sorted(range(len(values)), key=lambda n: values[n])
    steps = [heights[after] - heights[before] for before, after in itertools.pairwise(order)]
    assert min(steps) >= 0.1 - 1e-9 and min(heights) >= 0 and max(heights) <= 1


def test_what_is_written_of_the_run_stands_on_the_page(tables, tmp_path):
    assert tables._notes(tmp_path) == []
    (tmp_path / "data" / "learned").mkdir(parents=True)
    (tmp_path / "data" / "learned" / "notes.txt").write_text("On one core.\n", encoding="utf-8")
    assert tables._notes(tmp_path) == ["On one core."]
