"""A source of scores from outside: written here, judged, put into tables and drawn on pages without an edit."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import About, MapSource, PlainSource, Scored
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.report.benchmark import write_benchmark
from flairline.types import Case


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


def test_a_source_from_outside_goes_the_whole_way(patients, small, tmp_path):
    source: MapSource = Brighter()
    out = tmp_path / "out"
    finished = run(Plan(patients, [source], [small], out, seed=3))
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


def test_a_source_can_refuse_a_protocol_before_the_first_scan(patients, small, tmp_path):
    with pytest.raises(InputError, match="a stranger judges nothing"):
        run(Plan(patients, [Brighter()], [protocols.load("native")], tmp_path / "out"))
    assert not (tmp_path / "out" / "rows.csv").exists()
