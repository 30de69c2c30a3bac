"""The figures that the package carries of its own stability."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from flairline.cohort.stability import ALIKE, pairs, stability_of
from flairline.recipes import DEFAULT

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


def test_the_file_has_the_rows_of_the_documents_table():
    text = RESULTS.read_text(encoding="utf-8").partition("## Stability")[2].partition("\n## ")[0]
    for recipe in sorted({pair.recipe for pair in pairs()}):
        table = text.partition(f"| `{recipe}` |")[2]
        for change in sorted({pair.change for pair in pairs()}):
            (line,) = re.findall(rf"^\| {re.escape(change)} \| (.*) \|$", table.partition("\n\n")[0], re.MULTILINE)
            known = {pair.scan: pair for pair in pairs() if (pair.recipe, pair.change) == (recipe, change)}
            for cell, pair in zip(line.split(" | "), known.values(), strict=True):
                percent = float(re.search(r"([+-]?[\d.]+) %", cell)[1])
                assert 100 * (pair.ml / pair.unchanged_ml - 1) == pytest.approx(percent, abs=0.06), (
                    recipe,
                    change,
                    pair,
                )


def test_the_smallest_change_is_the_largest_that_the_same_head_gave():
    known = stability_of(DEFAULT, other_voxels=False)
    volumes = [pair for pair in pairs() if pair.recipe == DEFAULT and pair.kind in ALIKE]
    assert len(volumes) == 20
    shares = [2 * abs(pair.ml - pair.unchanged_ml) / (pair.ml + pair.unchanged_ml) for pair in volumes]
    assert known.spread.of_all == max(shares) and known.spread.smallest_of_all_ml(40, 60) == pytest.approx(
        50 * max(shares)
    )
    assert 0 < known.spread.of_lesion < 1
    wider = stability_of(DEFAULT, other_voxels=True)
    assert wider.spread.of_all > known.spread.of_all and "other voxels" in wider.words


def test_a_recipe_that_was_not_measured_has_none():
    unknown = stability_of("mine=folder", other_voxels=False)
    assert np.isnan(unknown.spread.of_all) and "Nobody has measured" in unknown.words
