"""What viewers think of scans: a JSON file of pass, fail or artefact and a note, by the scan's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flairline.cases.names import folder_names
from flairline.errors import InputError
from flairline.io.files import write_json
from flairline.types import Case

FORMAT = "flairline-verdicts-1"
FILE = "verdicts.json"
VERDICTS = ("", "pass", "fail", "artefact")
MAX_NOTE = 500


@dataclass(frozen=True)
class Verdict:
    """One scan's verdict ("" where there is only a note), when it was given (ISO 8601), and of which result."""

    verdict: str = ""
    note: str = ""
    at: str = ""
    scan_id: str = ""


def read(path: Path) -> dict[str, Verdict]:
    """Verdicts by folder name.

    Raises
    ------
    InputError
        The file cannot be read or is no file of verdicts.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"Wanted verdicts saved from a report, but cannot read {path}: {error}. Save them again from the page."
        raise InputError(msg) from error
    entries = content.get("verdicts") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(entries, dict):
        msg = (
            f"Wanted verdicts saved from a report ({FORMAT!r}), but {path} is something else. Save them from the page."
        )
        raise InputError(msg)
    return {str(name): _verdict(path, str(name), entry) for name, entry in entries.items()}


def write(path: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Write verdicts whole or not at all. Raises `OutputError`."""
    content = {name: asdict(verdict) for name, verdict in sorted(verdicts.items())}
    write_json(path, {"format": FORMAT, "verdicts": content})


def changed(verdicts: Mapping[str, Verdict], name: str, at: str, **fields: str) -> dict[str, Verdict]:
    """The same verdicts with some fields of one changed; what is not named stays."""
    return {**verdicts, name: replace(verdicts.get(name, Verdict()), at=at, **fields)}


def without_failed(cases: Sequence[Case], verdicts: Mapping[str, Verdict]) -> tuple[list[Case], list[str]]:
    """Cases that did not fail, and the names of those that did.

    A verdict knows its scan by the folder that `segment` gave it, or by `Case.key` as a benchmark's page does.
    """
    failed = {name for name, verdict in verdicts.items() if verdict.verdict == "fail"}
    kept, left_out = [], []
    for case, folder in zip(cases, folder_names(cases), strict=True):
        if {folder, case.key} & failed:
            left_out.append(case.key)
        else:
            kept.append(case)
    return kept, left_out


def of_no_case(cases: Sequence[Case], verdicts: Mapping[str, Verdict]) -> list[str]:
    """Names in a file of verdicts that none of the cases has: of other scans, or of scans that were renamed."""
    return sorted(verdicts.keys() - {case.key for case in cases} - set(folder_names(cases)))


def _verdict(path: Path, name: str, entry: Any) -> Verdict:
    given = entry if isinstance(entry, dict) else {"verdict": None}
    fields: dict[str, Any] = {key: given.get(key, "") for key in ("verdict", "note", "at", "scan_id")}
    if fields["verdict"] not in VERDICTS or not all(isinstance(value, str) for value in fields.values()):
        msg = f"{path}: the verdict on {name!r} is none of pass, fail, artefact: {entry!r}. Save them again."
        raise InputError(msg)
    return Verdict(**{**fields, "note": fields["note"][:MAX_NOTE]})
