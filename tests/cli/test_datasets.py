"""`flairline datasets`: the list of what is known, for people and for programs."""

from __future__ import annotations

import json

from flairline.cases import catalogue


def test_the_list_names_every_data_set_as_text_and_as_json(flairline):
    rows = catalogue.rows()
    ran = flairline("datasets")
    assert ran.code == 0 and ran.out.splitlines() == ["\t".join(row.values()) for row in rows]
    assert json.loads(flairline("datasets", "--json").out) == rows


def test_an_unknown_data_set_is_refused(flairline, tmp_path):
    ran = flairline("datasets", "check", "mslup", tmp_path)
    assert ran.code == 2 and "mslub" in ran.err
