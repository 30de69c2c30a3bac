"""The bench of the evaluation runs, in seconds, and ends with a line of JSON."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest


def test_the_bench_of_the_evaluation_runs_quickly_to_its_end(capsys, monkeypatch):
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    bench = importlib.import_module("bench.evaluate")
    # The same path in this process: otherwise each part has a process of its own, to measure its memory.
    monkeypatch.setattr(bench, "in_own_process", lambda function, n_scans: {**function(n_scans), "peak_mb": 1.0})
    bench.main(["--quick"])
    published, ours, _, result = capsys.readouterr().out.splitlines()
    assert json.loads(result)["ratio"] > 0
    dice = [line.split("'dice_oracle': ")[1].split(",")[0] for line in (published, ours)]
    assert "0.575" in dice[0] and "0.575" in dice[1]
