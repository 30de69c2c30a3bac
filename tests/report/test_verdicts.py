"""Verdicts: read, changed, and what failed is left out."""

from __future__ import annotations

import json

import pytest

from flairline.errors import InputError
from flairline.report import verdicts
from flairline.report.verdicts import Verdict
from flairline.types import Case


def test_what_was_written_is_read_back(tmp_path):
    said = {"sub-2": Verdict("fail", "moved", "2026-01-01T00:00:00Z", "ab"), "sub-1": Verdict(note="<b>look</b>")}
    verdicts.write(tmp_path / "verdicts.json", said)
    assert verdicts.read(tmp_path / "verdicts.json") == said


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": "other", "verdicts": {}}', '{"format": "flairline-verdicts-1", "verdicts": []}']
    + [
        json.dumps({"format": verdicts.FORMAT, "verdicts": {"a": entry}})
        for entry in ("fail", {"verdict": "bad"}, {"note": 3})
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(InputError, match=r"v\.json") as raised:
        verdicts.read(tmp_path / "v.json")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError):
        verdicts.read(tmp_path / "missing.json")


def test_a_change_leaves_what_it_does_not_name():
    said = {"a": Verdict("pass", "fine", "1", "x"), "b": Verdict("fail", "", "1", "y")}
    after = verdicts.changed(said, "a", "2", note="less fine")
    assert after["a"] == Verdict("pass", "less fine", "2", "x")
    assert after["b"] == said["b"]
    assert verdicts.changed({}, "new", "3", verdict="fail")["new"].verdict == "fail"


def test_only_fail_leaves_out_by_folder_or_by_data_set_and_subject():
    cases = [Case("one", "sub-1"), Case("one", "sub-2", session="b"), Case("two", "sub-3"), Case("two", "sub-4")]
    said = {
        "sub-1": Verdict("fail"),
        "sub-2_b": Verdict("fail"),
        "two/sub-3": Verdict("fail"),
        "sub-4": Verdict("artefact"),
        "sub-9": Verdict("fail"),
    }
    kept, left_out = verdicts.without_failed(cases, said)
    assert [case.subject for case in kept] == ["sub-4"]
    assert left_out == ["one/sub-1", "one/sub-2_b", "two/sub-3"]
    assert verdicts.of_no_case(cases, said) == ["sub-9"]
