"""What pages are made of: by what a result is known again, and what its flags say."""

from dataclasses import replace

from flairline.report.pages import CohortScan, result_id
from flairline.summary import Flag, InputFile, Quality, Summary
from flairline.types import Threshold

KNOWN = Summary(
    subject="s",
    dataset="d",
    method="m",
    recipe="r",
    threshold=Threshold(0.5, "given", "user"),
    inputs={"flair": InputFile("f.nii.gz", "ab")},
)


def test_a_result_is_known_by_what_it_was_made_of_and_not_by_what_came_out():
    """Browsers keep verdicts under this id: it must not change from one version to the next."""
    assert result_id(KNOWN) == "4e451fedcd78e6e7"
    assert result_id(replace(KNOWN, seconds=3.0, lesion_volume_ml=1.0, note="x")) == result_id(KNOWN)
    others = [
        replace(KNOWN, subject="t"),
        replace(KNOWN, threshold=Threshold(0.6, "given", "user")),
        replace(KNOWN, inputs={"flair": InputFile("f.nii.gz", "cd")}),
        replace(KNOWN, recipe=None),
    ]
    assert len({result_id(summary) for summary in (KNOWN, *others)}) == 5


def test_a_page_without_a_summary_is_known_by_its_subject(make_page):
    page = replace(make_page("sub-9"), summary=Summary())
    assert page.subject == "sub-9" and page.scan_id == result_id(Summary(subject="sub-9"))


def test_flags_are_said_in_words_a_failure_first():
    flags = (Flag("edge_share", 0.2, "is large"), Flag(reason="odd"), Flag(further={"text": "older"}), Flag())
    scan = CohortScan(Summary(subject="s", qc=Quality(flags=flags)), error="Failed: no file")
    assert scan.flags == ["Failed: no file", "edge share: is large", "odd", "older"]
    assert CohortScan(Summary()).flags == [] and CohortScan(Summary()).subject == ""


def test_a_verdict_is_kept_under_the_folder_or_the_subject(make_page):
    assert CohortScan(Summary(subject="s"), folder="d/s").key == "d/s"
    assert CohortScan(Summary(subject="s")).key == "s"
    row = CohortScan(Summary(subject="s", dataset="d"), folder="d/s")
    page = replace(make_page(), row=row)
    assert (page.key, page.scan_id) == (row.key, row.scan_id)
