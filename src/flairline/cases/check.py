"""What lies in a data set's folder, file by file: found, missing, odd, unreadable, and what to do next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from flairline import executor
from flairline.cases.folder import FolderDataset, Found, Subject
from flairline.errors import ImageError
from flairline.io.nifti import read_volume
from flairline.types import Progress, Space, Volume, no_progress

Kind = Literal["missing", "odd", "unreadable"]
IMAGES = ("t1", "t2", "brain", "truth")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    scan: str
    file: str
    what: str


@dataclass(frozen=True)
class Looked:
    """What one scan's files gave: findings, and the hash of what the FLAIR shows."""

    scan: str
    findings: tuple[Finding, ...]
    content: str = ""
    readable: bool = True


@dataclass
class Check:
    """The result: numbers, findings, and the next step in words."""

    dataset: str
    folder: Path
    usable: int = 0
    there: int = 0
    expected: int = 0
    findings: list[Finding] = field(default_factory=list)
    next_step: str = ""

    @property
    def failed(self) -> int:
        """Scans that are there but cannot be used."""
        return self.there - self.usable


def check(dataset: FolderDataset, jobs: int = 1, progress: Progress = no_progress) -> Check:
    """Look at every file that the data set's names match, in so many processes; what fails is that scan's.

    Raises
    ------
    InputError
        DIR is no folder.
    """
    found = dataset.find()
    result = Check(dataset.name, dataset.path, there=len(found.subjects), expected=len(dataset.subjects))
    for role, used, other in found.twice:
        result.findings.append(Finding("odd", role, str(other), f"comes twice; {used} is used"))
    for hint, count in found.foreign.items():
        result.findings.append(Finding("odd", "-", str(dataset.path), f"{count} files are left out: {hint}"))
    looked = _looked_at(dataset, list(found.subjects.values()), jobs, progress)
    by_content: dict[str, str] = {}
    for one in looked:
        result.findings += one.findings
        if one.content and one.content in by_content:
            what = f"the same FLAIR, voxel for voxel, as {by_content[one.content]}"
            result.findings.append(Finding("odd", one.scan, "", what))
        by_content.setdefault(one.content, one.scan)
    result.usable = sum(one.readable for one in looked)
    if dataset.subjects:
        result.findings += _against_the_list(dataset, found)
    result.next_step = _next_step(dataset, found, result)
    return result


def _looked_at(dataset: FolderDataset, subjects: Sequence[Subject], jobs: int, progress: Progress) -> list[Looked]:
    """What each scan's files gave, in the order of the scans."""
    looked = {}
    for done, outcome in enumerate(executor.run(partial(look_at, dataset), subjects, jobs), 1):
        progress(f"checking {dataset.name}", done, len(subjects))
        name = outcome.item.name
        failed = Looked(name, (Finding("unreadable", name, "", outcome.error or ""),), readable=False)
        looked[name] = failed if outcome.result is None else outcome.result
    return [looked[subject.name] for subject in subjects]


def look_at(dataset: FolderDataset, subject: Subject) -> Looked:
    """Read one scan's files and say what is missing, odd or unreadable."""
    findings = []
    for role in dict.fromkeys((*dataset.required_of(subject), *dataset.wanted)):
        if role not in subject.files:
            needed = (
                "cannot be used without"
                if role in dataset.required_of(subject)
                else "is used without (T1 leads to the atlas)"
            )
            findings.append(Finding("missing", subject.name, role, needed))
    images: dict[str, Volume] = {}
    for role in ("flair", *IMAGES):
        path = subject.files.get(role)
        if path is None:
            continue
        try:
            images[role] = read_volume(path)
        except ImageError as error:
            findings.append(Finding("unreadable", subject.name, str(path), str(error)))
    findings += [finding for role, image in images.items() for finding in _odd(dataset, subject, role, image, images)]
    decisive = [str(subject.files.get(role)) for role in ("truth", "brain")]
    readable = all(role in images for role in dataset.required_of(subject)) and not any(
        finding.kind == "odd" and finding.file in decisive and finding.what.startswith(("grid", "labels"))
        for finding in findings
    )
    content = hashlib.sha256(images["flair"].array.tobytes()).hexdigest() if "flair" in images else ""
    return Looked(subject.name, tuple(findings), content, readable)


def _odd(
    dataset: FolderDataset, subject: Subject, role: str, image: Volume, images: dict[str, Volume]
) -> Iterator[Finding]:
    path = str(subject.files[role])
    flair = images.get("flair")
    one_grid = role == "truth" or not dataset.own_grids
    if role in IMAGES and flair is not None and one_grid and not image.space.same_grid(flair.space):
        yield Finding("odd", subject.name, path, _other_grid(image.space, flair.space))
    if role == "truth":
        labels = np.unique(image.array)
        known = dataset.labels_of(subject)
        strange = [f"{value:g}" for value in labels if known and value not in known][:5]
        if strange:
            what = f"labels {', '.join(strange)}: wanted only {', '.join(map(str, known))}"
            yield Finding("odd", subject.name, path, what)
        if not (image.array > 0).any():
            yield Finding("odd", subject.name, path, "empty truth: no voxel is drawn")
    elif image.array.min() == image.array.max():
        yield Finding("odd", subject.name, path, f"all voxels have the value {image.array.min():g}")


def _other_grid(space: Space, flair: Space) -> str:
    return f"grid: {space.describe()}, but the FLAIR has {flair.describe()}"


def _against_the_list(dataset: FolderDataset, found: Found) -> Iterator[Finding]:
    strangers = [one.name for one in found.subjects.values() if one.name not in dataset.subjects]
    if strangers:
        what = f"{len(strangers)} scans are not of the release that the paper used: {_some(strangers)}"
        yield Finding("odd", "-", str(dataset.path), what)
    missing = dataset.missing(found)
    if missing:
        what = f"{len(missing)} of {len(dataset.subjects)} scans of the release: {_some(missing)}"
        yield Finding("missing", "-", str(dataset.path), what)


def _next_step(dataset: FolderDataset, found: Found, result: Check) -> str:
    if result.usable == 0:
        return dataset.nothing_found(found) if not found.complete(dataset.required) else "Mend the files named above."
    if result.failed:
        return f"Unpack or copy the files named above again. Without those scans: {dataset.use}"
    if result.usable < result.expected:
        return f"A fragment is no error: {dataset.use}"
    return f"All is there: {dataset.use}"


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
