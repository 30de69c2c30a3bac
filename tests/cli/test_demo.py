"""`flairline demo`: what it prints is there."""

from __future__ import annotations

from flairline import recipes


def test_the_demo_names_its_pages_and_pictures(tmp_path, flairline):
    ran = flairline("demo", "-o", tmp_path / "demo", "--patients", "1", "--spacing-mm", "4")
    assert ran.code == 0, ran.err
    printed = ran.out.splitlines()
    assert f"Segmented with {recipes.default().method}" in ran.out
    pages = [line for line in printed if ".html" in line]
    assert pages[0] == f"Look at:  {tmp_path / 'demo' / 'results' / 'index.html'}"
    assert printed[-1] == "Try your own: flairline segment FLAIR.nii.gz -o results --open"
    assert "Found, by kind of lesion" in ran.out and "sub-001.png" in ran.out
    assert (tmp_path / "demo" / "results" / "sub-001" / "report.html").exists()
