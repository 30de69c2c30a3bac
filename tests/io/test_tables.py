"""Tables as text, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from flairline.errors import InputError
from flairline.io import tables


@dataclass(frozen=True)
class Line:
    name: str
    n: int
    value: float


LINES = [Line("a, b", 2, 0.1 + 0.2), Line('c "d"', 3, math.nan)]


def test_csv_holds_numbers_in_full_and_comes_back(tmp_path):
    text = tables.csv_of(Line, LINES)
    assert text == 'name,n,value\n"a, b",2,0.30000000000000004\n"c ""d""",3,nan\n'
    (tmp_path / "lines.csv").write_text(text)
    first, second = tables.read_records(tmp_path / "lines.csv", Line)
    assert first == LINES[0]
    assert (second.name, second.n) == ('c "d"', 3)
    assert math.isnan(second.value)


def test_a_table_without_lines_has_its_columns(tmp_path):
    assert tables.csv_of(Line, []) == "name,n,value\n"
    assert tables.markdown_text(["a"], []) == "| a |\n| --- |"


def test_markdown_escapes_bars():
    text = tables.markdown_text(["method", "ours"], [["a | b", ".7"]])
    assert text == "| method | ours |\n| --- | --- |\n| a \\| b | .7 |"


def test_tex_escapes_and_aligns():
    text = tables.tex_text(["the method", "n_scans"], [["50 % & more", "3"]], "Cost in $", 1)
    assert "\\begin{tabular}{lr}" in text
    assert "the method & n\\_scans \\\\" in text
    assert "50 \\% \\& more & 3 \\\\" in text
    assert "\\caption{Cost in \\$}" in text


@pytest.mark.parametrize("text", ["name,n\na,1\n", "name,n,value\na,one,2\n", "name,n,value\na,1\n"])
def test_another_table_is_refused(tmp_path, text):
    (tmp_path / "lines.csv").write_text(text)
    with pytest.raises(InputError, match=r"lines\.csv"):
        tables.read_records(tmp_path / "lines.csv", Line)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        tables.read_lines(tmp_path / "none.csv")


def test_a_tsv_says_n_a_of_what_is_not_known_and_keeps_a_cell_on_its_line():
    text = tables.tsv_text(["a", "b", "c"], [[1.5, None, "x\ty\nz"], [float("nan"), "", 0], [0.1 + 0.2, 40000, 2.0]])
    assert text == "a\tb\tc\n1.5\tn/a\tx y z\nn/a\tn/a\t0\n0.3\t40000\t2\n"
