"""`flairline report`: the page of a folder again."""

from flairline.summary import Summary


def test_the_page_is_written_again_with_the_verdicts_that_are_given(tmp_path, flairline):
    out = tmp_path / "out"
    Summary(subject="sub-1", lesion_volume_ml=1.0).write(out / "sub-1" / "summary.json")
    verdicts = tmp_path / "verdicts.json"
    verdicts.write_text('{"format": "flairline-verdicts-1", "verdicts": {"sub-1": {"verdict": "fail", "at": "2026"}}}')
    ran = flairline("report", out, "--verdicts", verdicts)
    assert ran.code == 0, ran.err
    assert f"Page: {out / 'index.html'}" in ran.out
    assert 'data-given="fail"' in (out / "index.html").read_text(encoding="utf-8")
    assert (out / "verdicts.json").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path, flairline):
    ran = flairline("report", tmp_path / "none")
    assert ran.code == 2 and f"there is none at {tmp_path / 'none'}" in ran.line
