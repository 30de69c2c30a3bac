"""Cases of files, and what a case is called: as a folder of results, and in a table of verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from flairline.errors import InputError
from flairline.io.files import readable
from flairline.types import Case

OF_OUT = frozenset({"work", "logs", "index.html", "report.json", "verdicts.json", "volumes.tsv"})
"""What a folder of results has beside the folders of its scans."""
LONGEST_BYTES = 200
"""Most file systems take names of 255 bytes, and a file is written under a name with a few letters more."""


def cases_from_files(
    flairs: Sequence[Path], t1: Path | None = None, brain: Path | None = None, t2: Path | None = None
) -> list[Case]:
    """Cases from FLAIR files.

    Raises
    ------
    InputError
        There are several FLAIRs but one T1, T2 or brain.
    """
    for name, path in (("t1", t1), ("t2", t2), ("brain", brain)):
        if path is not None and len(flairs) > 1:
            msg = (
                f"Wanted one FLAIR with --{name}, got {len(flairs)} FLAIRs and one --{name}. Run them one by one,"
                " or give a table with --cases."
            )
            raise InputError(msg)
    return [Case("", "", flair, t1=t1, t2=t2, brain=brain) for flair in flairs]


def named(cases: Sequence[Case]) -> list[Case]:
    """The same cases with the folder name of each as its subject. Raises `InputError` as `folder_names` does."""
    return [replace(case, subject=name) for case, name in zip(cases, folder_names(cases), strict=True)]


def folder_names(cases: Sequence[Case]) -> list[str]:
    """A folder name for each case, no two alike.

    A case of a table is called by its subject (and session; on a clash, its data set before that, and where that leaves
    two alike, as x/y and x_y, a hash behind it); a file by its BIDS sub-/ses- part, in its name or its folders', else
    its stem, else, on a clash, its parent folder. What OUT has for itself (`OF_OUT`) gets a sign behind it.

    Raises
    ------
    InputError
        Two names still clash, or a name cannot be a folder.
    """
    names = [_first_name(case) for case in cases]
    clashing = {name for name, count in Counter(names).items() if count > 1}
    names = [_second_name(case) if name in clashing else name for case, name in zip(cases, names, strict=True)]
    clashing = {name for name, count in Counter(names).items() if count > 1}
    names = [_own_name(name, case) if name in clashing else name for name, case in zip(names, cases, strict=True)]
    owners: dict[str, Case] = {}
    for name, case in zip(names, cases, strict=True):
        if name in owners:
            msg = (
                f"{case.flair} and {owners[name].flair} would both be called {name!r}. Put them into folders of"
                " different names, or give a table with --cases."
            )
            raise InputError(msg)
        owners[name] = case
    return names


def _first_name(case: Case) -> str:
    if case.subject:
        return _as_folder(_joined(case.subject, case.session))
    assert case.flair is not None
    return _bids_name(case.flair) or _as_folder(_stem(case.flair))


def _second_name(case: Case) -> str:
    if case.subject:
        return _as_folder(_joined(case.dataset, case.subject, case.session))
    assert case.flair is not None
    return _as_folder(case.flair.absolute().parent.name)


def _own_name(name: str, case: Case) -> str:
    """Of a case of a table, which has a key that no other has, a name that no other has."""
    return f"{name}_{sha256(case.key.encode(errors='surrogateescape')).hexdigest()[:8]}" if case.subject else name


def _joined(*parts: str) -> str:
    return "_".join(part for part in parts if part)


def _bids_name(path: Path) -> str:
    """sub-X or sub-X_ses-Y from the file's name and, where that lacks one, from its own folders; empty without sub-.

    BIDS writes sub-X/[ses-Y/]anat/: a sub- folder further up belongs to something else.
    """
    in_name = re.match(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?=_|\.)", path.name)
    subject = in_name[1] if in_name else None
    session = in_name[2] if in_name else None
    for folder in list(path.absolute().parents)[:3]:
        if session is None and re.fullmatch("ses-[A-Za-z0-9]+", folder.name):
            session = folder.name
        if re.fullmatch("sub-[A-Za-z0-9]+", folder.name):
            if subject in (None, folder.name):
                return _joined(folder.name, session or "")
            break
    # A session folder under no subject's, or another subject's, says nothing about this file.
    return _joined(*(part or "" for part in in_name.groups())) if in_name else ""


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _as_folder(name: str) -> str:
    """A name that stays inside OUT: no separators, no leading dot, all letters readable, not too long for a disk."""
    safe = re.sub(r"[/\\\x00-\x1f]", "_", readable(name)).lstrip(".")
    if len(safe.encode()) > LONGEST_BYTES:
        safe = safe.encode()[:LONGEST_BYTES].decode(errors="ignore") + "_" + sha256(safe.encode()).hexdigest()[:8]
    return f"{safe}_" if safe.lower() in OF_OUT or not safe else safe
