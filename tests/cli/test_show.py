"""What is printed of results: a table or JSON on stdout, what to look at on stderr, an exit code."""

import json
from pathlib import Path

import pytest
import typer

from flairline.cli.show import leave, print_segmented, say_failures, show_page
from flairline.executor import Outcome
from flairline.segmentation import Done
from flairline.summary import Flag, Quality, Summary
from flairline.types import Case, Threshold

SUMMARY = Summary(
    recipe="brightest",
    threshold=Threshold(0.98765, "quantile 0.98 of the brain", "this scan"),
    note="a fixed share",
    lesion_volume_ml=1.234,
    n_lesions=3,
    subject="sub-1",
    qc=Quality(flags=(Flag("noise", 0.4, "is high"),)),
)


def outcomes(summary: Summary = SUMMARY, kept: bool = False) -> list[Outcome[Case, Done]]:
    done = Outcome(Case("", "sub-1"), Done(Path("out/sub-1"), summary, kept))
    return [done, Outcome(Case("", "sub-2"), error="No such file: x.nii. Check the path.")]


def test_a_table_says_volume_count_threshold_and_folder(capsys):
    print_segmented(outcomes(kept=True), as_json=False)
    printed = capsys.readouterr()
    words = " ".join(printed.out.split())
    assert "Segmented with brightest" in words
    assert "sub-1 1.23 3 0.9877 (quantile 0.98 of the brain) was there already out/sub-1" in words
    assert "Mind: the volume is a fixed share." in words and "not for diagnosis" in words
    assert "LOOK AT sub-1: noise: is high." in printed.err and "sub-2: No such file" in printed.err


def test_json_is_what_summary_json_says_and_nothing_else_is_on_stdout(capsys):
    print_segmented(outcomes(), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "subjects": [SUMMARY.to_json()],
        "failures": {"sub-2": "No such file: x.nii. Check the path."},
    }


def test_a_summary_of_another_version_is_shown_as_far_as_it_goes(capsys):
    print_segmented(outcomes(Summary()), as_json=False)
    assert "sub-1 ? None ?" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("failed", "total", "code"), [(0, 3, None), (1, 3, 1), (3, 3, 2)])
def test_the_exit_code_says_whether_some_or_all_failed(failed, total, code):
    if code is None:
        assert leave(failed, total) is None
        return
    with pytest.raises(typer.Exit) as left:
        leave(failed, total)
    assert left.value.exit_code == code


def test_failures_are_named_each_on_a_line(capsys):
    say_failures({"a": "is\nempty", "b": "is gone"})
    assert capsys.readouterr().err.splitlines() == ["flairline: 2 failed:", "a: is empty", "b: is gone"]


def test_a_page_that_was_not_written_is_not_named(tmp_path, capsys):
    show_page(tmp_path / "none.html", open_page=False, quiet=False)
    show_page(None, open_page=True, quiet=False)
    page = tmp_path / "report.html"
    page.write_text("x")
    show_page(page, open_page=False, quiet=True)
    assert capsys.readouterr().out == ""
    show_page(page, open_page=False, quiet=False)
    assert capsys.readouterr().out == f"Page: {page}\n"
