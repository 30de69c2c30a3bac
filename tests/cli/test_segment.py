"""`flairline segment`: what goes together, and which page is shown."""

import pytest


@pytest.fixture
def flairs(tmp_path, save, head):
    return [save(tmp_path / f"sub-{number}.nii.gz", head.flair) for number in (1, 2)]


def test_one_scan_shows_its_own_page_and_several_show_that_of_all(tmp_path, flairline, flairs):
    method = ("--method", "brightest", "--brain", "none")
    alone = flairline("segment", flairs[0], *method, "-o", tmp_path / "alone")
    both = flairline("segment", *flairs, *method, "-o", tmp_path / "both")
    assert f"Page: {tmp_path / 'alone' / 'sub-1' / 'report.html'}" in alone.out
    assert f"Page: {tmp_path / 'both' / 'index.html'}" in both.out
    assert not (tmp_path / "alone" / "index.html").exists()
    way_back = (tmp_path / "both" / "sub-1" / "report.html").read_text(encoding="utf-8")
    assert "../index.html" in way_back


def test_without_a_report_there_is_no_page(tmp_path, flairline, flairs):
    ran = flairline("segment", *flairs, "--method", "brightest", "--brain", "none", "--no-report", "-o", tmp_path / "o")
    assert "Page:" not in ran.out and not list((tmp_path / "o").rglob("*.html"))


def test_files_and_a_table_are_one_too_many_and_so_is_neither(tmp_path, flairline, flairs):
    table = tmp_path / "cases.csv"
    table.write_text("dataset,subject,flair\nd,1,sub-1.nii.gz\n")
    for arguments in ((), (flairs[0], "--cases", table), ("--brain", "nonsense")):
        ran = flairline("segment", *arguments, "-o", tmp_path / "out")
        assert ran.code == 2 and "FLAIR files or --cases TABLE, one of the two" in ran.line
    assert not (tmp_path / "out").exists()


def test_a_model_is_named_once(tmp_path, flairline, flairs):
    ran = flairline("segment", flairs[0], "--method", "histeq=a", "--model", "b", "-o", tmp_path / "out")
    assert ran.code == 2 and "names a model already" in ran.line
