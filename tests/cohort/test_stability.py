"""The figures that the package carries of its own stability."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from flairline.cohort.stability import ALIKE, pairs, stability_of
from flairline.recipes import DEFAULT

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "data"


def test_the_file_has_the_rows_of_the_documents_tables():
    for recipe in ("default", "training-free"):
        table = json.loads((RESULTS / f"stability_{recipe.replace('-', '_')}.json").read_text(encoding="utf-8"))
        scans = [re.sub(r" \(.*", "", title) for title in table["columns"][1:]]
        known = {(pair.change, pair.scan): pair for pair in pairs() if pair.recipe == recipe}
        assert len(known) == len(scans) * len(table["rows"]) == 64
        for change, *cells in table["rows"]:
            for scan, cell in zip(scans, cells, strict=True):
                pair, percent = known[change, scan], float(re.search(r"([+-]?[\d.]+) %", cell)[1])
                assert 100 * (pair.ml / pair.unchanged_ml - 1) == pytest.approx(percent, abs=0.06), (
                    recipe,
                    change,
                    scan,
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
