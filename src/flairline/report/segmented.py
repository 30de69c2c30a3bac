"""What `segment` left in a folder, for the cohort's page: scans that are finished, that failed, that were cut off."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flairline.errors import InputError
from flairline.io.files import write_json
from flairline.report import build, verdicts
from flairline.report.pages import CohortScan
from flairline.summary import SUMMARY, Summary

DETAILS = "report.json"
RESULTS = ("score.nii.gz", "mask.nii.gz", "brain.nii.gz")
UNFINISHED = f"Unfinished: its folder has no {SUMMARY}. Segment it again."


def keep_failures(out: Path, failures: Mapping[str, str], tried: Iterable[str] = ()) -> None:
    """Remember which scans `segment` could not do, for the cohort's page.

    Failures of earlier runs stay but for those scans that were tried again. Raises `OutputError`.
    """
    details = read_details(out)
    again = {*tried, *failures}
    before = {name: why for name, why in details.get("failures", {}).items() if name not in again}
    write_json(out / DETAILS, {**details, "failures": {**before, **failures}})


def read_details(out: Path) -> dict[str, Any]:
    """What runs kept in OUT/report.json; empty where there is none. Raises `InputError` if it cannot be read."""
    return read_object(out / DETAILS)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file. Raises `InputError` if it cannot be read."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
        reason = "it holds no object"
    except (OSError, ValueError) as error:
        reason = str(error)
    msg = f"Cannot read {path}: {reason}. Run the command that made it again."
    raise InputError(msg)


def segmented_scans(
    out: Path, details: Mapping[str, Any], known: Mapping[str, verdicts.Verdict]
) -> Iterator[CohortScan]:
    """Every scan of which something is known: those that are finished, that failed, and that were cut off."""
    failures = dict(details.get("failures", {}))
    for folder in sorted(path.parent for path in out.glob(f"*/{SUMMARY}")):
        failures.pop(folder.name, None)  # a later run finished it
        try:
            summary = Summary.read(folder / SUMMARY)
        except InputError as error:
            yield _without_result(folder.name, f"Failed: {error}", known)
        else:
            yield _finished(folder, summary, known)
    cut_off = {path.parent.name for name in RESULTS for path in out.glob(f"*/{name}")}
    for name in sorted(cut_off - failures.keys()):
        if not (out / name / SUMMARY).exists():
            yield _without_result(name, UNFINISHED, known)
    for name, reason in failures.items():
        yield _without_result(name, f"Failed: {reason}", known)


def _finished(folder: Path, summary: Summary, known: Mapping[str, verdicts.Verdict]) -> CohortScan:
    picture, given = folder / build.THUMBNAIL, known.get(folder.name, verdicts.Verdict())
    return CohortScan(
        summary=summary,
        href=f"{quote(folder.name)}/{build.SCAN_PAGE}" if (folder / build.SCAN_PAGE).exists() else None,
        thumbnail=picture.read_bytes() if picture.is_file() else None,
        site=summary.site or "",
        columns=summary.columns or {},
        verdict=given.verdict,
        note=given.note,
        at=given.at,
        folder=folder.name,
    )


def _without_result(name: str, error: str, known: Mapping[str, verdicts.Verdict]) -> CohortScan:
    given = known.get(name, verdicts.Verdict())
    return CohortScan(
        Summary(subject=name), error=error, verdict=given.verdict, note=given.note, at=given.at, folder=name
    )
