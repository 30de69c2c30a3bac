"""`fl.compare`: results in memory, and folders."""

from __future__ import annotations

import pytest

import flairline as fl
from flairline.errors import InputError


def test_results_in_memory_and_their_folders_give_the_same(tmp_path):
    scan, _ = fl.demo_scan()
    paths = [tmp_path / f"flair{number}.nii.gz" for number in (1, 2)]
    found = []
    for number, path in enumerate(paths):
        fl.write_volume(path, fl.Volume(scan.flair.array * (1 + number), scan.space))
        found.append(fl.segment(path, brain="none", method="brightest", threshold="q0.97", subject=f"visit-{number}"))
    folders = [each.save(tmp_path / f"visit-{number}") for number, each in enumerate(found)]
    compared = fl.compare(*folders, out=tmp_path / "out")
    assert compared.comparison.earlier.name == "visit-0" and (tmp_path / "out" / "report.html").exists()
    in_memory = fl.compare(*found)
    assert [row["kind"] for row in in_memory.lesions] == [row["kind"] for row in compared.lesions]
    assert {row["kind"] for row in compared.lesions} == {"stable"}  # the same head, twice as bright
    with pytest.raises(InputError, match="one and the same FLAIR"):
        fl.compare(folders[0], folders[0])
