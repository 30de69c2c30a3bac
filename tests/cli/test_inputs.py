"""From what a user names on the command line to cases."""

from __future__ import annotations

import pytest

from flairline.cli import inputs
from flairline.errors import InputError
from flairline.report import verdicts
from flairline.types import Case


def test_a_data_set_needs_a_name_and_a_folder():
    with pytest.raises(InputError, match="NAME=DIR"):
        inputs.cases_of_datasets(["mslub"])


def test_what_a_verdict_failed_is_left_out_and_strangers_are_named(tmp_path, capsys):
    cases = [Case("d", "1"), Case("d", "2", session="b")]
    assert inputs.without_failed(cases, None) == (cases, [])
    given = {"d/2_b": verdicts.Verdict("fail"), "d/9": verdicts.Verdict("pass")}
    verdicts.write(tmp_path / "v.json", given)
    assert inputs.without_failed(cases, tmp_path / "v.json") == (cases[:1], ["d/2_b"])
    assert "also names 1 that are not judged here: d/9." in capsys.readouterr().err


def test_a_table_that_a_verdict_leaves_empty_is_refused(tmp_path):
    verdicts.write(tmp_path / "v.json", {"d/1": verdicts.Verdict("fail")})
    with pytest.raises(InputError, match="fails all 1"):
        inputs.without_failed([Case("d", "1")], tmp_path / "v.json")
