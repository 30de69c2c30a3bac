"""Data sets that are folders: finding their files by the names their owners gave them, and checking what is there.

A data set says how its files are called (`Pattern`); everything else is the same for all and is here. Patterns are
matched against the end of a file's absolute path, so DIR may be the unpacked folder, one above it, or one below it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from flairline.cases.fetch import RemoteFile, no_fetch
from flairline.errors import InputError
from flairline.types import Case

MAX_DEPTH = 7
"""Folders below DIR that are looked into; more would search a whole disk."""
MAX_UP = 3
"""Folders above DIR that are looked into for the right level."""


ByVersion = dict[int | None, dict[str, Path]]
"""Files of one scan by version and role."""


@dataclass(frozen=True)
class Pattern:
    """How one kind of file is called.

    `regex` is matched against the end of the path (with `/`), case as it stands. Its group `subject` and, where there
    are several scans of a subject, `session` say whose file it is. `version` numbers the versions of a scan that a data
    set holds side by side: files of one version are used together, the first that is whole; None fits all of them.
    Files in a folder of a name in `not_under` below DIR do not count.
    """

    role: str
    regex: str
    version: int | None = None
    not_under: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foreign:
    """Files that belong to the data set but are not the ones to read; `hint` names the right ones."""

    regex: str
    hint: str


@dataclass(frozen=True)
class Subject:
    """The files of one scan, by role, and the version they are of."""

    subject: str
    session: str
    site: str
    files: dict[str, Path]
    version: int = 0

    @property
    def name(self) -> str:
        """Subject and session in one word."""
        return f"{self.subject}_{self.session}" if self.session else self.subject


@dataclass
class Found:
    """What lies under a folder: scans, files of them that come twice, and files of another part of the data set."""

    subjects: dict[tuple[str, str], Subject] = field(default_factory=dict)
    twice: list[tuple[str, Path, Path]] = field(default_factory=list)
    foreign: Counter[str] = field(default_factory=Counter)

    def complete(self, required: Sequence[str]) -> list[Subject]:
        """The scans that have all required files, in order."""
        return [one for one in self.subjects.values() if not set(required) - set(one.files)]


@dataclass(frozen=True)
class FolderDataset:
    """Base of the data sets on disk. `path` is DIR."""

    path: Path

    name: ClassVar[str]
    title: ClassVar[str]
    published_as: ClassVar[str] = ""
    """What the paper calls it."""
    made_on_the_spot: ClassVar[str] = ""
    """What makes it, where it lies in no folder: these all do."""
    licence: ClassVar[str]
    how_to_get: ClassVar[str]
    address: ClassVar[str]
    citation: ClassVar[str]
    n_published: ClassVar[int] = 0
    """Scans that the paper says it used."""
    subjects: ClassVar[tuple[str, ...]] = ()
    """Names (subject and session) of the scans of the release that the paper used, frozen."""
    scans_note: ClassVar[str] = ""
    known_labels: ClassVar[tuple[int, ...]] = (0, 1)
    lesion_labels: ClassVar[tuple[int, ...]] = (1,)
    ignored_labels: ClassVar[tuple[int, ...]] = ()
    layout: ClassVar[str]
    """One example path, for messages."""
    patterns: ClassVar[tuple[Pattern, ...]]
    foreign: ClassVar[tuple[Foreign, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ("flair", "truth")
    wanted: ClassVar[tuple[str, ...]] = ("flair", "t1", "truth")
    """Roles that a whole scan has; what is missing of these and not required is said, and the scan is still used."""
    own_grids: ClassVar[bool] = False
    """Whether the images of a scan may lie on grids of their own; the truth lies on the FLAIR's."""

    def find(self) -> Found:
        """What lies under DIR.

        Raises
        ------
        InputError
            DIR is no folder.
        """
        return self._find_under(self._folder())

    def cases(self) -> list[Case]:
        """All scans that have a FLAIR and a truth.

        Raises
        ------
        InputError
            DIR is no folder or holds no such scan; the right level is named where it can be told.
        """
        found = self.find()
        complete = found.complete(self.required)
        if not complete:
            raise InputError(self.nothing_found(found))
        return [self._case(one) for one in complete]

    def scans(self) -> list[Case]:
        """All scans that have a FLAIR, with a truth or without: what may be learned from.

        Raises
        ------
        InputError
            DIR is no folder or holds no FLAIR.
        """
        found = self.find()
        there = found.complete(("flair",))
        if not there:
            raise InputError(self.nothing_found(found))
        return [self._case(one) for one in there]

    @classmethod
    def remote_files(cls, part: str = "") -> list[RemoteFile]:
        """What can be fetched: nothing, unless a data set says so. Raises `InputError` with the way to get it."""
        raise no_fetch(cls)

    def healthy(self) -> list[Case]:
        """Scans of healthy people: none, all of these data sets are of patients."""
        return []

    def left_out(self) -> list[tuple[str, str]]:
        """Scans that are there in part, and why each cannot be used."""
        reasons = []
        for one in self.find().subjects.values():
            lacking = [role for role in self.required_of(one) if role not in one.files]
            if lacking:
                there = next(iter(one.files.values()))
                wanted = " and ".join(lacking)
                reasons.append((f"{self.name}/{one.name}", f"no {wanted} beside {there}. Unpack the archive again."))
        return reasons

    def several(self) -> list[str]:
        """What comes twice in a scan, and which of the files is used, a line each."""
        return [
            f"{self.name}, {role} comes twice: {used} is used, not {other}." for role, used, other in self.find().twice
        ]

    def missing(self, found: Found) -> list[str]:
        """Scans of the frozen list that are not under DIR."""
        there = {one.name for one in found.complete(self.required)}
        return [name for name in self.subjects if name not in there]

    def nothing_found(self, found: Found) -> str:
        """What to say where no scan can be used: the right level or the right part, or how to get the data set."""
        folder = self._folder()
        start = f"Wanted {self.title} in {folder} (files like {self.layout}), found none."
        for hint in found.foreign:
            return f"{start} What is there is {hint}"
        if found.subjects:
            one = next(iter(found.subjects.values()))
            lacking = [role for role in self.required if role not in one.files]
            above = self._level_above(folder)
            if above is not None:
                return f"{start} {folder} is a level too deep: give {above}."
            there = f"{len(found.subjects)} scans are there without {' and '.join(lacking)}"
            return f"{start} {there}: it looks half unpacked. Unpack the archive again."
        return f"{start} Check the path, or see how to get it: flairline datasets fetch {self.name}."

    def _folder(self) -> Path:
        folder = self.path.expanduser().absolute()
        if not folder.is_dir():
            what = "a file" if folder.exists() else "not there"
            msg = f"Wanted a folder with {self.title}, but {self.path} is {what}. Give the folder it was unpacked to."
            raise InputError(msg)
        return folder

    def _level_above(self, folder: Path) -> Path | None:
        """The nearest folder above, within reach, that makes scans whole of which a part lies in `folder`.

        A scan of which files come twice there is not counted: another copy of the data set lies beside this one, and
        what it has says nothing about where the rest of this one is.
        """
        for above in list(folder.parents)[:MAX_UP]:
            if len(above.parts) <= 2:  # never search / or a whole home
                return None
            found = self._find_under(above, MAX_UP + 1)
            copied = {path for _, *paths in found.twice for path in paths}
            whole = (one.files.values() for one in found.complete(self.required))
            if any(any(folder in path.parents for path in paths) and copied.isdisjoint(paths) for paths in whole):
                return above
        return None

    def _find_under(self, folder: Path, depth: int = MAX_DEPTH) -> Found:
        patterns = [(pattern, re.compile(f"(?:^|/){pattern.regex}$")) for pattern in self.patterns]
        foreign = [(other, re.compile(other.regex)) for other in self.foreign]
        found = Found()
        versions: dict[tuple[str, str, str], ByVersion] = {}
        for path in _images(folder, depth):
            text = path.as_posix()
            hint = next((other.hint for other, regex in foreign if regex.search(text)), None)
            if hint is not None:
                found.foreign[hint] += 1
                continue
            above = path.relative_to(folder).parts[:-1]
            for pattern, regex in patterns:
                match = regex.search(text)
                if match and not set(above) & set(pattern.not_under):
                    files = versions.setdefault(self.identify(match), {}).setdefault(pattern.version, {})
                    if pattern.role in files:
                        found.twice.append((f"{match['subject']}: {pattern.role}", files[pattern.role], path))
                    files.setdefault(pattern.role, path)
                    break
        for (subject, session, site), by_version in sorted(versions.items(), key=lambda item: _natural(item[0])):
            found.subjects[subject, session] = self._choose(subject, session, site, by_version)
        return found

    def _choose(self, subject: str, session: str, site: str, by_version: ByVersion) -> Subject:
        """The first version of a scan that has all required files, else the first."""
        common = by_version.pop(None, {})
        ordered = [
            Subject(subject, session, site, {**common, **files}, version or 0)
            for version, files in sorted(by_version.items(), key=lambda item: item[0] or 0)
        ] or [Subject(subject, session, site, common)]
        return next((one for one in ordered if not set(self.required) - set(one.files)), ordered[0])

    def identify(self, match: re.Match[str]) -> tuple[str, str, str]:
        """Subject, session and site of a matched file."""
        groups = match.groupdict()
        return groups["subject"], groups.get("session") or "", groups.get("site") or ""

    def required_of(self, one: Subject) -> tuple[str, ...]:
        """Roles without which a scan cannot be used."""
        return self.required

    @property
    def use(self) -> str:
        """The command to use it with."""
        return f"flairline benchmark --dataset {self.name}={self.path} --method default -o OUT"

    def labels_of(self, one: Subject) -> tuple[int, ...]:
        """The labels that the truth of a scan may have."""
        return self.known_labels

    def _case(self, one: Subject) -> Case:
        files = {role: one.files.get(role) for role in ("flair", "t1", "t2", "brain", "truth")}
        extra = {
            "known_labels": _listed(self.labels_of(one)),
            "lesion_labels": _listed(self.lesion_labels),
            "ignored_labels": _listed(self.ignored_labels),
            "one_grid": "yes",
        }
        return Case(self.name, one.subject, **files, session=one.session, site=one.site, extra=extra, notes=())


def _images(folder: Path, depth: int) -> Iterator[Path]:
    """NIfTI files below a folder, in order, without following links to folders in circles."""
    start = len(folder.parts)
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and one != "__MACOSX" and not _leads_back(here / one)
        )
        if len(here.parts) - start >= depth:
            folders.clear()
        yield from (here / file for file in sorted(files) if _is_image(file))


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one of those that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _is_image(name: str) -> bool:
    return name.endswith((".nii", ".nii.gz")) and not name.startswith(".")


def _listed(labels: Sequence[int]) -> str:
    return " ".join(map(str, labels))


def _natural(key: tuple[str, ...]) -> list[list[tuple[int, str]]]:
    """Order in which 2 comes before 10."""
    return [[(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)] for text in key]
