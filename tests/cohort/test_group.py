"""The group's tables and page, made of OUT alone."""

from __future__ import annotations

import json
import shutil

import pytest

from flairline.cohort import derivatives
from flairline.cohort.group import read_group, visit_of, write_group
from flairline.cohort.state import ScanState, failed
from flairline.errors import InputError


@pytest.fixture(scope="module")
def out(finished, tmp_path_factory):
    """A finished OUT with one scan that failed, and its group; the raw data are not there."""
    out = shutil.copytree(finished, tmp_path_factory.mktemp("group") / "out")
    failed(ScanState("sub-03", "", "failed"), "it was bad").write(out)
    write_group(out)
    return out


def table(path):
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_one_line_a_scan_with_volumes_by_size_and_region(out):
    lines = {(line["participant_id"], line["session_id"]): line for line in table(out / "group_scans.tsv")}
    assert list(lines) == [("sub-01", "n/a"), ("sub-02", "ses-1"), ("sub-02", "ses-2"), ("sub-03", "n/a")]
    first = lines["sub-01", "n/a"]
    assert (first["age"], first["site"], first["status"]) == ("70", "A", "done")
    sizes = [name for name in first if name.startswith("ml_") and not name.startswith("ml_in_")]
    assert sum(float(first[name]) for name in sizes) == pytest.approx(float(first["lesion_volume_ml"]))
    regions = [name for name in first if name.startswith("ml_in_")]
    assert sum(float(first[name]) for name in regions) == pytest.approx(float(first["lesion_volume_ml"]))
    assert float(first["seconds"]) > 0 and float(first["peak_mb"]) > 50
    assert lines["sub-03", "n/a"]["error"] == "it was bad" and lines["sub-03", "n/a"]["lesion_volume_ml"] == "n/a"


def test_a_region_without_lesions_is_zero_and_only_an_unknown_one_is_not_said(finished, tmp_path):
    """A mean over scans of n/a would be that of the scans which have lesions there."""
    out = shutil.copytree(finished, tmp_path / "out")
    regions = {"sub-01": ["deep"], "sub-02_ses-1": ["deep", None], "sub-02_ses-2": [], "sub-03": ["juxtacortical"]}
    for name, of_lesions in regions.items():
        path = out / derivatives.summary_path(visit_of(name))
        content = json.loads(path.read_text())
        content["lesions"] = [{"volume_ml": 2.0, "voxels": 9, "region": region} for region in of_lesions]
        path.write_text(json.dumps(content))
    lines = {scan.state.name: scan.line for scan in read_group(out).scans}
    deep = {name: (line.get("ml_in_deep"), line.get("lesions_in_deep")) for name, line in lines.items()}
    assert deep == {"sub-01": (2.0, 1), "sub-02_ses-1": (2.0, 1), "sub-02_ses-2": (0.0, 0), "sub-03": (0.0, 0)}
    elsewhere = {name: line.get("ml_in_juxtacortical") for name, line in lines.items()}
    assert elsewhere == {"sub-01": 0.0, "sub-02_ses-1": None, "sub-02_ses-2": 0.0, "sub-03": 2.0}


def test_a_scan_whose_files_are_lost_is_named_and_the_others_stay(finished, tmp_path):
    """Neither may it cost the whole group, nor be missing from its table without a word."""
    out = shutil.copytree(finished, tmp_path / "out")
    (out / derivatives.summary_path(visit_of("sub-01"))).unlink()
    (out / "state/counts/sub-02_ses-1.npz").write_bytes(b"half")
    state = json.loads((out / "state/sub-03.json").read_text())
    (out / "state/sub-03.json").write_text(json.dumps({**state, "schema": 0}))
    scans = {scan.state.name: scan for scan in read_group(out).scans}
    assert {name: scan.line["status"] for name, scan in scans.items()} == {
        **dict.fromkeys(("sub-01", "sub-02_ses-1", "sub-03"), "failed"),
        "sub-02_ses-2": "done",
    }
    assert "sub-01_summary.json" in scans["sub-01"].line["error"] and "another version" in scans["sub-03"].line["error"]
    assert all("participant level again" in scans[name].line["error"] for name in ("sub-01", "sub-02_ses-1", "sub-03"))
    write_group(out)  # the page as well


def test_the_dictionary_explains_every_column(out):
    columns = (out / "group_scans.tsv").read_text().splitlines()[0].split("\t")
    assert list(json.loads((out / "group_scans.json").read_text())) == columns


def test_visits(out):
    first, second = table(out / "group_visits.tsv")
    assert (first["participant_id"], first["session_id"], second["session_id"]) == ("sub-02", "ses-1", "ses-2")
    change = float(second["lesion_volume_ml"]) - float(first["lesion_volume_ml"])
    assert float(first["since_first_ml"]) == 0 and float(second["since_first_ml"]) == pytest.approx(change)


def test_figures_by_the_columns_of_participants(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    write_group(out)
    figures = {(line["column"], line["value"], line["figure"]): line for line in table(out / "group_metrics.tsv")}
    assert figures["all", "all", "dice_oracle"]["scans"] == "4"
    assert figures["site", "A", "scans"]["result"] == "2" and figures["site", "B", "auprc"]["scans"] == "2"
    assert figures["age", "60", "scans"]["result"] == "2" and figures["age", "n/a", "scans"]["result"] == "1"
    page = (out / "index.html").read_text()
    assert "By site and age" in page and "<h3>By site</h3>" in page


def test_the_page_shows_every_scan_and_leads_to_its_page(out):
    page = (out / "index.html").read_text()
    assert 'href="sub-02_ses-2.html"' in page and "it was bad" in page and "Visits: ml by session" in page


def test_a_group_of_nothing(tmp_path):
    with pytest.raises(InputError, match="Run that level first"):
        write_group(tmp_path)
    (tmp_path / "state").mkdir()
    with pytest.raises(InputError, match="found none"):
        read_group(tmp_path)


def test_a_visit_of_its_name():
    assert (visit_of("sub-01_ses-2").name, visit_of("sub-01").folder) == ("sub-01_ses-2", "sub-01")
