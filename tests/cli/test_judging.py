"""What `benchmark` and `evaluate` do alike: pages are asked for in one of three words, before anything is judged."""

from __future__ import annotations


def test_pages_are_asked_for_in_one_of_three_words(tmp_path, flairline, save, head):
    save(tmp_path / "flair.nii.gz", head.flair)
    (tmp_path / "cases.csv").write_text("dataset,subject,flair\nd,1,flair.nii.gz\n")
    arguments = ["benchmark", "--cases", tmp_path / "cases.csv", "--method", "histeq", "-o", tmp_path / "out"]
    ran = flairline(*arguments, "--pages", "twelve")
    assert ran.code == 2 and "all, some or none" in ran.line
    assert not (tmp_path / "out").exists()
