"""No number of a document is typed: tables come from the data of a measurement."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("studies.tables")


def test_the_tables_are_what_their_data_say(tables):
    used = set()
    for page in tables.pages():
        assert tables.filled(page) == page.read_text(encoding="utf-8"), f"{page}: python -m studies.tables"
        used |= {page.parent / found["file"] for found in tables.MARKED.finditer(page.read_text(encoding="utf-8"))}
    assert used == set((ROOT / "docs" / "results" / "data").glob("*.json"))


def test_a_table_says_what_was_run_in_which_code_and_when(tables, tmp_path):
    for path in (ROOT / "docs" / "results" / "data").glob("*.json"):
        measured = tables.Measured.read(path)
        assert measured.command.split()[0] in ("flairline", "python"), path
        assert re.fullmatch(r"[0-9a-f]{7}", measured.commit) and re.fullmatch(r"20\d\d-\d\d-\d\d", measured.date), path
    page, data = tmp_path / "page.md", tmp_path / "d.json"
    stored = {"command": "flairline x", "commit": "abcdef0", "date": "2026-01-02", "columns": ["a"], "rows": [[1]]}
    data.write_text(json.dumps(stored))
    page.write_text("before\n<!-- table: d.json -->\nold\n<!-- end -->\nafter\n")
    assert "| 1 |" in tables.filled(page) and "old" not in tables.filled(page)
    assert "*`flairline x`, 2026-01-02, commit abcdef0.*" in tables.filled(page)
    data.write_text(json.dumps({**stored, "rows": [[1, 2]]}))
    with pytest.raises(ValueError, match="Wanted 1 cells"):
        tables.filled(page)
