"""The list of data sets: which lie in folders, and what the others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from flairline import registry
from flairline.cases import catalogue
from flairline.errors import InputError, UnknownNameError


def test_a_data_set_says_itself_that_it_lies_in_no_folder(monkeypatch):
    """A plug-in that is made on the spot is told apart by what it says, not by its name."""

    class Another:
        made_on_the_spot = "made of cheese"

    load = registry.load
    monkeypatch.setattr(registry, "names", lambda kind: ["another", "mslub"])
    monkeypatch.setattr(registry, "load", lambda kind, name: Another if name == "another" else load(kind, name))
    assert catalogue.names() == ["mslub"]
    assert catalogue.others() == {"cases": "a table of cases, given with --cases", "another": "made of cheese"}
    assert [row["what"] for row in catalogue.rows()][1:] == list(catalogue.others().values())


@pytest.mark.parametrize("name", ["cases", "phantom"])
def test_what_lies_in_no_folder_is_refused_with_what_it_is(name, tmp_path):
    with pytest.raises(InputError, match=f"but {name} is .*Names: bids"):
        catalogue.on_disk(name, tmp_path)


def test_an_unknown_name_is_refused_with_the_closest():
    with pytest.raises(UnknownNameError, match="mslub"):
        catalogue.on_disk("mslob", Path())


def test_what_a_person_must_get_cannot_be_fetched():
    with pytest.raises(InputError, match=r"cannot be fetched: after registration.*Address: https"):
        catalogue.remote_files("brats2020")
    assert catalogue.remote_files("mslub", "MNI")
