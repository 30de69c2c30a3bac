"""What the bench makes of its runs: nothing of those that others disturbed, and the tables of docs/scale.md."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

import pytest

pytest.importorskip("psutil")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # bench is run from the repository and is in no package
scale = importlib.import_module("bench.scale")
sys.path.pop(0)

DOCUMENT, MEASURED = ROOT / "docs" / "scale.md", ROOT / "docs" / "scale.json"


def runs(*speeds, others=0.0):
    return [scale.Timed(speed, 15.0, others) for speed in speeds]


def test_medians_of_undisturbed_runs_are_compared():
    found = scale.judged(
        {
            "one_worker": runs(4.0, 3.9, 4.1) + runs(1.0, others=0.8),
            "two_workers": runs(7.0, 7.6, 9.0),
            "one_worker_of_two_threads": runs(5.0),
            "dask": runs(7.0, 7.2),
        },
        8,
    )
    assert found["two_over_one"] == pytest.approx(1.9) and found["two_over_one_of_two_threads"] == pytest.approx(1.52)
    assert found["dask_over_two_workers"] == pytest.approx(7.1 / 7.6) and found["seconds_a_scan"] == 15.0
    assert found["disturbed_runs"] == 1 and len(found["runs"]["one_worker"]) == 4


def test_without_an_undisturbed_run_nothing_is_compared():
    ways = ("one_worker", "two_workers", "one_worker_of_two_threads")
    found = scale.judged({way: runs(4.0, others=0.5) for way in ways}, 8)
    assert math.isnan(found["two_over_one"]) and math.isnan(found["seconds_a_scan"])
    assert found["one_worker_cpu_seconds_a_scan"] == 15.0  # which others disturb less
    assert "dask_over_two_workers" not in found
    assert "not measured yet" in scale.figures_table(scale.plain(found))


@pytest.mark.parametrize(("busy", "anyway", "leaves"), [(0.01, False, False), (0.9, False, True), (0.9, True, False)])
def test_a_busy_machine_is_refused(monkeypatch, busy, anyway, leaves):
    now = [0.0]
    monkeypatch.setattr(scale.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(scale.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(scale.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(scale, "busy_seconds", lambda: busy * now[0])
    if leaves:
        with pytest.raises(SystemExit, match=r"others work on 0\.90 of its cores"):
            scale.wait_until_idle(anyway)
        assert now[0] > scale.WAIT_SECONDS
    else:
        scale.wait_until_idle(anyway)
        assert now[0] < 5


def test_what_a_process_and_its_children_take_is_its_own():
    before, busy = scale.own_seconds(), scale.busy_seconds()
    sum(number * number for number in range(3_000_000))
    assert scale.own_seconds() - before > 0.05
    assert scale.busy_seconds() > busy


def test_hours_and_cost_are_worked_out():
    table = scale.hours_table({"seconds_a_scan": 18.0, "one_worker_cpu_seconds_a_scan": None})
    assert table.splitlines()[2:] == ["| one worker of one thread, by the clock | 18.0 | 200 | 1.0 h | 8 |"]


def test_the_tables_of_the_document_are_those_of_its_file():
    measured, text = json.loads(MEASURED.read_text()), DOCUMENT.read_text(encoding="utf-8")
    assert scale.with_tables(text, measured) == text
    assert scale.with_tables(text.replace("| what |", "| that |"), measured) == text
    with pytest.raises(SystemExit, match="Wanted the marks"):
        scale.with_tables("# Scale", measured)


def test_what_was_measured_keeps_its_limits():
    measured = json.loads(MEASURED.read_text())
    assert measured["layout_1000_seconds"] < 1 and measured["layout_40000_seconds"] < 30
    assert measured["parent_mb_at_5000"] - measured["parent_mb_at_50"] <= 100
    assert measured["work_mb_a_scan"] <= 300


def test_parts_that_were_not_run_stay_as_they_stood(tmp_path):
    file = tmp_path / "scale.json"
    scale.kept(file, {"a": 1.23456, "b": 2.0})
    scale.kept(file, {"b": math.nan})
    assert json.loads(file.read_text()) == {"a": 1.235, "b": None}
