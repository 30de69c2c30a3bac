"""`flairline demo`: what it prints is there."""

from __future__ import annotations


def test_the_demo_names_its_pages_and_pictures(tmp_path, flairline):
    ran = flairline("demo", "-o", tmp_path / "demo", "--patients", "1", "--spacing-mm", "4")
    assert ran.code == 0, ran.err
    assert "Segmented with brightest: a fixed share of every brain, not a measurement." in " ".join(ran.out.split())
    assert "Found, by kind of lesion" in ran.out and "sub-001.png" in ran.out
    assert (tmp_path / "demo" / "results" / "sub-001" / "report.html").exists()
