"""The study of trained methods: which rows it makes, beside which published values."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import pytest

from flairline.benchmarking.rows import COHORT, Row


@pytest.fixture
def learned(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("studies.learned")


def test_a_line_stands_beside_its_published_values_and_what_it_beats(learned, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"training": {"seconds": 90}}))
    trained = learned.Trained("vae=model", "vae", "phantoms", tmp_path, 2.5)
    dice = {"vae=model": 0.4, "histeq": 0.5, "intensity": 0.3, "highpass": 0.1}
    rows = [
        Row("mslub", method, "sound", COHORT, metric, value, 2)
        for method, value in dice.items()
        for metric in learned.METRICS
    ]
    lines = {line["method"]: line for line in learned.table_lines(rows, [trained])}
    assert list(lines) == ["vae", "histeq", "intensity", "highpass"]
    assert lines["vae"]["training minutes"] == 1.5 and lines["vae"]["seconds a volume"] == 2.5
    assert lines["vae"]["beats"] == "intensity, highpass" and lines["highpass"]["beats"] == "none"
    assert lines["histeq"]["published"] == "0.374 / 0.271 / 0.991"
    assert lines["intensity"]["published"] == "- / - / -" and math.isnan(lines["intensity"]["seconds a volume"])
    learned.write(tmp_path, [{"slices": "all", **line} for line in lines.values()])
    text = (tmp_path / "table.md").read_text()
    assert text.startswith("| slices | protocol | data set |") and len(text.splitlines()) == 6


def test_a_slow_method_is_judged_on_few_slices_with_its_fellow(learned):
    families = {"vae": "vae", "vae_restoration": "vae", "ssae": "ssae"}
    assert learned._runs(families, None) == [(None, families)]
    whole, few = learned._runs(families, 12)
    assert whole == (None, {"vae": "vae", "ssae": "ssae"})
    assert few == (12, {"vae": "vae", "vae_restoration": "vae"})
