"""A source of scores from outside: written here, judged, put into tables and drawn on pages without an edit."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from flairline import recipes
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import About, MapSource, PlainSource, RecipeSource, Scored
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.report.benchmark import write_benchmark
from flairline.types import Case

PROTOCOL = replace(protocols.load("experiment-1"), in_plane=None, slices=(3, 17), needs_sri24=False)


@dataclass(frozen=True)
class Brighter(PlainSource):
    """What is brighter than the brain's mean, and a mask of the brightest; a stranger to the house."""

    name: str = "brighter"
    factor: float = 1.0

    @property
    def about(self) -> About:
        return About(
            published_as="f-AnoGAN",
            note="by a stranger",
            threshold_rule="the brightest 2 %",
            threshold_chosen_on="nothing",
            seen=frozenset({"mslub/patient02"}),
        )

    def inputs(self, case: Case) -> list[Path]:
        return [path for path in (case.flair, case.brain, case.truth) if path]

    def describe(self) -> dict[str, float]:
        return {"factor": self.factor}

    def check(self, protocol: protocols.Protocol) -> None:
        if protocol.name == "native":
            msg = "a stranger judges nothing by native"
            raise InputError(msg)

    def make(self, case: Case, protocol: protocols.Protocol) -> Scored:
        labelled = protocol.prepare(self.labelled(case, protocol))
        flair, brain = labelled.scan.flair.array, labelled.scan.brain.array
        score = np.where(brain, (flair - flair[brain].mean()) * np.float32(self.factor), 0).astype(np.float32)
        return Scored(labelled, score, brain & (score >= np.quantile(score[brain], 0.98)))


@pytest.fixture
def cases(tmp_path, save, make_head) -> list[Case]:
    made = []
    for number in range(2):
        head = make_head(number)
        subject = f"patient0{number + 1}"
        paths = {
            name: save(tmp_path / "in" / subject / f"{name}.nii.gz", array.astype(np.int16))
            for name, array in (("flair", head.flair), ("brain", head.brain), ("truth", head.truth))
        }
        made.append(Case("mslub", subject, **paths))
    return made


def test_a_source_from_outside_goes_the_whole_way(cases, tmp_path):
    source: MapSource = Brighter()
    out = tmp_path / "out"
    finished = run(Plan(cases, [source], [PROTOCOL], out, seed=3))
    assert finished.failures == {}
    assert (out / "work").is_dir()
    rows = {(row.subject, row.metric): row for row in finished.rows}
    assert rows["cohort", "dice_oracle"].value > 0.9
    assert 0 < rows["patient01", "dice"].value <= 1
    assert {row.subject for row in finished.rows if row.seen} == {"cohort", "patient02"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["parameters"]["methods"] == {"brighter": {"factor": 1.0}}
    assert manifest["parameters"]["seed"] == 3 and len(manifest["files"]) == 6

    with (out / "tables" / "2.csv").open(newline="") as file:
        (cell,) = [line for line in csv.DictReader(file) if (line["method"], line["metric"]) == ("brighter", "auroc")]
    assert cell["published"] == "0.856"
    assert {path.name for path in (out / "figures").iterdir()} >= {"figure3_experiment-1_brighter.png"}

    written = write_benchmark(finished, "all")
    assert written.page == out / "index.html" and written.pageless == {}
    assert not (out / "work").exists()
    pages = [path.read_text() for path in (out / "pages").glob("*.html")]
    assert len(pages) == 2
    for html in pages:
        for words in ("by a stranger", "the brightest 2 %", "FLAIR intensities"):
            assert words in html


def test_a_source_can_refuse_a_protocol_before_the_first_scan(cases, tmp_path):
    with pytest.raises(InputError, match="a stranger judges nothing"):
        run(Plan(cases, [Brighter()], [protocols.load("native")], tmp_path / "out"))
    assert not (tmp_path / "out" / "rows.csv").exists()


def test_where_all_fails_an_earlier_run_stays(cases, tmp_path):
    out = tmp_path / "out"
    run(Plan(cases, [Brighter()], [PROTOCOL], out))
    before = {path.name: path.read_bytes() for path in out.glob("*.*")}
    broken = [replace(case, flair=tmp_path / "none.nii.gz") for case in cases]
    finished = run(Plan(broken, [Brighter()], [PROTOCOL], out, incomplete={"mslub/patient03": "no truth"}))
    assert finished.nothing_done and len(finished.failures) == 3
    assert {path.name: path.read_bytes() for path in out.glob("*.*")} == before


def test_few_slices_are_scored_and_judged_and_the_manifest_says_so(cases, tmp_path):
    sound, out = protocols.load("sound"), tmp_path / "out"
    source = RecipeSource(recipes.load("histeq"))
    finished = run(Plan(cases, [source], [sound], out, slices=8))
    assert json.loads((out / "manifest.json").read_text())["parameters"]["protocol"]["brain_slices"] == 8
    (result,) = finished.results
    for stored in result.stored["mslub", "histeq"]:
        loaded = stored.load()
        judged = np.flatnonzero(loaded.brain.any(axis=(0, 1)))
        brain = source.labelled(stored.case, sound).scan.brain.array
        there = np.flatnonzero(brain.any(axis=(0, 1)))
        # Evenly spread: the nine gaps that eight slices leave are of about one width.
        gaps = np.diff([there[0], *judged, there[-1]])
        assert judged.size == 8 and gaps.max() - gaps.min() <= 1
        assert set(np.flatnonzero(loaded.truth.any(axis=(0, 1)))) <= set(judged)
        assert loaded.score.any(axis=(0, 1)).sum() == 8
    whole = run(Plan(cases, [source], [sound], tmp_path / "whole"))
    assert (
        "brain_slices" not in json.loads((tmp_path / "whole" / "manifest.json").read_text())["parameters"]["protocol"]
    )
    positives = [finished.results[0].counts["mslub", "histeq"].positives for finished in (finished, whole)]
    assert 0 < positives[0] < positives[1]
