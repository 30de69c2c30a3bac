"""`flairline datasets`: the list of what is known, for people and for programs."""

from __future__ import annotations

import json

import pytest

from flairline.cases import catalogue, check


def test_the_list_names_every_data_set_as_text_and_as_json(flairline):
    rows = catalogue.rows()
    ran = flairline("datasets")
    assert ran.code == 0 and ran.out.splitlines() == ["\t".join(row.values()) for row in rows]
    assert json.loads(flairline("datasets", "--json").out) == rows


def test_an_unknown_data_set_is_refused(flairline, tmp_path):
    ran = flairline("datasets", "check", "mslup", tmp_path)
    assert ran.code == 2 and "mslub" in ran.err


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_while_a_scan_is_checked_is_that_scans(flairline, tmp_path, save, head, monkeypatch, jobs):
    root = tmp_path / "bids"
    for number in (1, 2):
        name = f"sub-{number}/anat/sub-{number}"
        save(root / f"{name}_FLAIR.nii.gz", head.flair + number)
        save(root / "derivatives" / "lesions" / f"{name}_label-lesion_mask.nii.gz", head.truth.astype("uint8"))
    assert flairline("datasets", "check", "bids", root, "-j", jobs).code == 0
    read = check.read_volume

    def fails_on_2(path):
        if "sub-2" in path.name:
            raise TypeError("no such thing")
        return read(path)

    if jobs == 1:
        monkeypatch.setattr(check, "read_volume", fails_on_2)
    else:  # a worker imports the module anew
        (root / "sub-2" / "anat" / "sub-2_FLAIR.nii.gz").write_bytes(b"")
    ran = flairline("datasets", "check", "bids", root, "-j", jobs, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["usable"], found["there"]) == (1, 1, 2)
    assert {finding["scan"] for finding in found["findings"] if finding["kind"] == "unreadable"} == {"sub-2"}
    assert ("TypeError: no such thing" in ran.out) == (jobs == 1)
