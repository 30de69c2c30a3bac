"""What goes wrong with one scan is that scan's: one line, a traceback in OUT/logs where flairline is at fault."""

from __future__ import annotations

import json

import pytest

from flairline import segmentation

QUICK = ("--method", "brightest", "--brain", "none")


@pytest.fixture
def flairs(tmp_path, save, head):
    return [save(tmp_path / f"sub-{number}.nii.gz", head.flair) for number in (1, 2)]


@pytest.fixture
def find_fails(monkeypatch):
    """Makes the work on one subject end in a fault of flairline."""
    find = segmentation.find

    def fails_on(subject: str) -> None:
        def found(case, settings):
            if case.subject == subject:
                raise TypeError("no such thing")
            return find(case, settings)

        monkeypatch.setattr(segmentation, "find", found)

    return fails_on


def test_a_fault_after_an_earlier_success_is_shown_as_a_failure_everywhere(tmp_path, flairline, flairs, find_fails):
    out = tmp_path / "out"
    assert flairline("segment", *flairs, *QUICK, "-o", out).code == 0
    find_fails("sub-2")
    ran = flairline("segment", *flairs, *QUICK, "-o", out, "--overwrite", "--no-report")
    log = out / "logs" / "sub-2.txt"
    assert ran.code == 1 and ran.line.endswith(f"traceback in {log})") and "no such thing" in log.read_text()
    assert (out / "sub-1" / "summary.json").exists() and not (out / "sub-2" / "summary.json").exists()
    assert flairline("report", out).code == 0
    page = (out / "index.html").read_text()
    assert "Failed: TypeError: no such thing" in page and page.count("Failed: ") == page.count("Failed: TypeError")


def test_a_later_success_is_no_failure_any_more_and_other_failures_stay(tmp_path, flairline, flairs, find_fails):
    out = tmp_path / "out"
    broken = tmp_path / "sub-3.nii.gz"
    broken.write_bytes(b"")
    find_fails("sub-2")
    assert flairline("segment", *flairs, broken, *QUICK, "-o", out).code == 1
    find_fails("nobody")
    assert flairline("segment", flairs[1], *QUICK, "-o", out).code == 0  # one scan, which has no page of all
    assert set(json.loads((out / "report.json").read_text())["failures"]) == {"sub-3"}
    flairline("report", out)
    page = (out / "index.html").read_text()
    assert "no such thing" not in page and "Failed: No such" not in page and "is empty" in page


def test_a_damaged_summary_is_one_scans_on_the_page_of_all(tmp_path, flairline, flairs):
    out = tmp_path / "out"
    flairline("segment", *flairs, *QUICK, "-o", out)
    (out / "sub-1" / "summary.json").write_text("{")
    ran = flairline("segment", *flairs, *QUICK, "-o", out)
    assert ran.code == 1 and "Run again with --overwrite" in ran.line
    page = (out / "index.html").read_text()
    assert "Cannot read" in page and "sub-2/report.html" in page


def test_a_page_of_all_that_cannot_be_written_leaves_the_scans_and_names_what_failed(tmp_path, flairline, flairs):
    out = tmp_path / "out"
    (out / "index.html").mkdir(parents=True)
    broken = tmp_path / "sub-3.nii.gz"
    broken.write_bytes(b"")
    ran = flairline("segment", *flairs, broken, *QUICK, "-o", out)
    assert ran.code == 1 and "sub-1" in ran.out
    assert ["no page of all scans: Cannot write" in ran.complaints[0], "sub-3" in ran.complaints[1]] == [True, True]


def test_a_folder_of_results_that_is_a_file_is_that_scans(tmp_path, flairline, flairs):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub-1").write_text("a file")
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "sub-1: Cannot replace" in ran.line and "traceback" not in ran.line
    assert (tmp_path / "out" / "sub-2" / "summary.json").exists()


def test_logs_that_cannot_be_written_hide_no_failure(tmp_path, flairline, flairs, find_fails):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").write_text("a file")
    find_fails("sub-1")
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "sub-1: TypeError: no such thing" in ran.line


def test_a_name_longer_than_a_disk_takes_is_cut_and_stays_its_own(tmp_path, flairline, flairs):
    table = tmp_path / "cases.csv"
    long = "ä" * 150
    table.write_text(f"dataset,subject,flair\nd,{long}1,sub-1.nii.gz\nd,{long}2,sub-2.nii.gz\n")
    ran = flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out")
    made = [path.parent.name for path in (tmp_path / "out").glob("*/summary.json")]
    assert ran.code == 0 and len(made) == 2 and all(name.startswith("ä" * 100 + "_") for name in made)


def test_refused_studies_fail_alone(tmp_path, flairline, flairs):
    pytest.importorskip("dcm2niix")
    from dicom_writer import FLAIR, T1, image, write_series

    volume = image()
    for side in volume.array, volume.array.T, volume.array.transpose(1, 0, 2):
        side[:3] = side[-3:] = 0  # air around a head
    write_series(tmp_path / "good", volume, 4, FLAIR)
    write_series(tmp_path / "no FLAIR", image(), 2, T1, study="1.2.4")
    write_series(tmp_path / "again", volume, 4, FLAIR)
    (tmp_path / "empty").mkdir()
    folders = [tmp_path / name for name in ("empty", "no FLAIR", "good", "again")]
    ran = flairline("segment", *folders, flairs[0], *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1
    failed = "\n".join(ran.complaints)
    assert "3 failed" in failed and f"{folders[0]}: Wanted a folder of DICOM slices" in failed
    assert f"{folders[1]}: Wanted a FLAIR series" in failed and "the same study as another" in failed
    made = sorted(path.parent.name for path in (tmp_path / "out").glob("*/summary.json"))
    assert len(made) == 2 and made[0].startswith("study-") and made[1] == "sub-1"
    assert (tmp_path / "out" / "index.html").read_text().count("Failed: ") >= 3


def test_a_fault_while_a_study_is_read_is_that_studys(tmp_path, flairline, flairs, monkeypatch):
    pytest.importorskip("dcm2niix")

    def fails(*_):
        raise TypeError("no such thing")

    monkeypatch.setattr("flairline.io.dicom.choose_study", fails)
    (tmp_path / "dicom").mkdir()
    ran = flairline("segment", tmp_path / "dicom", flairs[0], *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "TypeError: no such thing (a fault in flairline; traceback in" in ran.line
    assert (tmp_path / "out" / "sub-1" / "summary.json").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_is_said_in_one_line(jobs, monkeypatch, tmp_path, flairline, flairs):
    """Where temporary files find no room, in the command itself as in a scan."""

    def full(*_, **__):
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("flairline.executor.TemporaryDirectory" if jobs > 1 else "flairline.segmentation.find", full)
    ran = flairline("segment", *flairs, *QUICK, "-j", jobs, "--no-report", "-o", tmp_path / "out")
    assert ran.code == 2 and all("No space is left" in line for line in ran.complaints[-jobs:])
    assert "traceback" not in ran.err and "TMPDIR" in ran.err


def test_without_any_place_for_temporary_files_one_line_says_so(tmp_path, flairline, flairs, monkeypatch):
    def none(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/']")

    monkeypatch.setattr("flairline.cli.segment.TemporaryDirectory", none)
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 2 and "Wanted a folder for temporary files" in ran.line and "TMPDIR" in ran.line
