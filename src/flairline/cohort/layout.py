"""Reading plain BIDS: which scans there are, without walking the whole tree.

Looked into are ``sub-*/anat`` and ``sub-*/ses-*/anat`` and nothing else, so that a data set of 40,000 subjects with
functional images, and whatever lies in derivatives/ and sourcedata/, costs two or three listings a subject.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flairline.datasets.bids import Dataset as BidsMasks
from flairline.errors import InputError
from flairline.types import ROLES, Case

ROLE_OF_SUFFIX = {"FLAIR": "flair", "T1w": "t1", "T2w": "t2"}
ENTITIES = {
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "subject": "sub",
    "session": "ses",
    "inversion": "inv",
    "modality": "mod",
    **{name: name for name in ("task", "run", "echo", "flip", "mt", "part", "chunk", "desc", "space")},
}
"""What filter files (pybids' words) call an entity that such an image may have -> how file names abbreviate it."""
INDICES = ("run", "echo", "flip", "inv", "chunk")
"""Entities that are numbers: 1 is 01."""
OTHER_QUERIES = ("bold", "sbref", "fmap", "roi", "dwi", "asl", "m0scan", "pet", "meg")
"""What filter files ask besides, of images that are not read here."""
ANY = "*"
"""In a filter file: whatever the value, but the entity must be there."""
MOST_SHOWN = 5

_IMAGE = re.compile(r"(?P<entities>(?:[a-z0-9]+-[A-Za-z0-9+]+_)+)(?P<suffix>FLAIR|T1w|T2w)\.nii(?:\.gz)?")
_TRUTHS = [re.compile(f"^{pattern.regex}$") for pattern in BidsMasks.patterns if pattern.role == "truth"]


@dataclass(frozen=True)
class Filters:
    """What of a data set is wanted.

    Attributes
    ----------
    participants, sessions
        Labels, with or without ``sub-`` and ``ses-``; empty: all.
    of_role
        Role -> entity as file names abbreviate it -> values that are wanted; None among them: a file without it.
    """

    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    of_role: Mapping[str, Mapping[str, tuple[str | None, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, participants: Sequence[str] = (), sessions: Sequence[str] = (), file: Path | None = None) -> Filters:
        """From what a user typed. Raises `InputError` where the filter file cannot be read."""
        subjects = tuple(label.removeprefix("sub-") for label in participants)
        visits = tuple(label.removeprefix("ses-") for label in sessions)
        return cls(subjects, visits, {} if file is None else _read_filters(file))

    def let_through(self, role: str, entities: Mapping[str, str]) -> bool:
        """Whether a file of that role is wanted."""
        asked = self.of_role.get(role, {})
        return all(
            _index(name, entities.get(name)) in wanted or (ANY in wanted and name in entities)
            for name, wanted in asked.items()
        )


@dataclass(frozen=True)
class Visit:
    """One scan: the files of a subject at one time.

    Attributes
    ----------
    subject, session
        Labels without ``sub-`` and ``ses-``; the session is empty where the subject has none.
    files
        Role -> path below the data set's folder, with ``/``.
    notes
        What was chosen where there were several files, a line each.
    """

    subject: str
    session: str
    files: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As its files begin: ``sub-01`` or ``sub-01_ses-2``."""
        return f"sub-{self.subject}_ses-{self.session}" if self.session else f"sub-{self.subject}"

    @property
    def folder(self) -> str:
        """Where its files lie below a data set's folder: ``sub-01/ses-2``."""
        return self.name.replace("_", "/")

    def case(self, root: Path, truth: Path | None = None) -> Case:
        """The scan as a case; its subject is `name`."""
        paths = {role: root / path for role, path in self.files.items()}
        flair, t1, t2 = (paths.get(role) for role in ROLES)
        return Case("bids", self.name, flair, t1, t2, truth=truth)


@dataclass(frozen=True)
class Layout:
    """The scans of a data set that were asked for, and what was found beside them.

    Attributes
    ----------
    visits
        Those with a FLAIR, in natural order.
    without_flair
        Names of the subjects' visits that have other images but no FLAIR that was wanted.
    missing_sessions
        Labels of sessions that were asked for and that none of the subjects has.
    """

    root: Path
    visits: tuple[Visit, ...]
    without_flair: tuple[str, ...] = ()
    missing_sessions: tuple[str, ...] = ()


def read_layout(root: Path, filters: Filters | None = None) -> Layout:
    """The scans of a BIDS folder.

    Of several files of one kind the plainest name is taken: without contrast agent before with, few entities before
    many, run-1 before run-2. That is said in the visit's notes.

    Raises
    ------
    InputError
        It is no folder, has no subjects, lacks one that was asked for, or has no FLAIR that was wanted.
    """
    filters = filters or Filters()
    subjects = _subjects(root, filters.participants)
    visits: list[Visit] = []
    without: list[str] = []
    missing = dict.fromkeys(filters.sessions)
    for label, path in subjects:
        for session, folder in _sessions(path, filters.sessions):
            missing.pop(session, None)
            visit = _visit(label, session, folder, filters)
            if "flair" in visit.files:
                visits.append(visit)
            elif visit.files:
                without.append(visit.name)
    if not visits and missing:
        msg = f"Wanted the sessions {_shown(list(missing))} in {root}, but none of {len(subjects)} subjects has them."
        raise InputError(f"{msg} Check the labels.")
    if not visits:
        other = f"; {len(without)} visits have other images only ({_shown(without)})" if without else ""
        msg = (
            f"Wanted files like sub-01/anat/sub-01_FLAIR.nii.gz in {root}, but none of {len(subjects)} subjects has one"
            f" that was asked for{other}. Check the labels and the filter file."
        )
        raise InputError(msg)
    return Layout(root, tuple(visits), tuple(without), tuple(missing))


def truth_of(visit: Visit, folder: Path) -> Path | None:
    """The mask of lesions that a rater drew of a visit, in a BIDS folder of masks; None where there is none.

    It is known by its name, as the data set ``bids`` knows it, and of several the first by name is taken.
    """
    for place in (folder / visit.folder / "anat", folder / visit.folder):
        for name in sorted(_names(place)):
            if name.startswith(f"{visit.name}_") and any(pattern.match(name) for pattern in _TRUTHS):
                return place / name
    return None


def _subjects(root: Path, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Labels and folders, in natural order."""
    if not root.is_dir():
        what = "a file" if root.exists() else "not there"
        msg = f"Wanted a BIDS folder, but {root} is {what}. Give the folder that holds sub-01, sub-02 ..."
        raise InputError(msg)
    there = dict(_labelled(str(root), "sub-"))
    if not there:
        msg = f"Wanted a BIDS folder, but {root} holds no sub-* folder. Give the folder that holds sub-01, sub-02 ..."
        raise InputError(msg)
    missing = [label for label in wanted if label not in there]
    if missing:
        msg = (
            f"Wanted the participants {_shown(missing)} in {root}, but they have no folder there. There are"
            f" {len(there)}: {_shown(sorted(there, key=natural))}."
        )
        raise InputError(msg)
    return [(label, there[label]) for label in sorted(set(wanted) or there, key=natural)]


def _sessions(subject: str, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Session labels and anat folders of a subject; the label is empty for images outside a session."""
    if not wanted and os.path.isdir(anat := f"{subject}/anat"):  # noqa: PTH112 - twice as fast, 40,000 times
        yield "", anat
    for label, folder in sorted(_labelled(subject, "ses-"), key=lambda found: natural(found[0])):
        if not wanted or label in wanted:
            yield label, f"{folder}/anat"


def _labelled(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            label = entry.name[len(prefix) :]
            if entry.name.startswith(prefix) and label.replace("+", "").isalnum() and entry.is_dir():
                yield label, entry.path


def _visit(subject: str, session: str, folder: str, filters: Filters) -> Visit:
    """What lies in one anat folder."""
    plain = f"sub-{subject}/ses-{session}/anat" if session else f"sub-{subject}/anat"
    found: dict[str, list[tuple[dict[str, str], str]]] = {}
    filtered: dict[str, str] = {}
    for name in _names(folder):
        match = _IMAGE.fullmatch(name)
        if match is None:
            continue
        entities = dict(part.split("-", 1) for part in match["entities"].rstrip("_").split("_"))
        owner = entities.get("sub") == subject and entities.get("ses", "") == session
        # Another space is another grid, and a phase is no picture.
        if owner and "space" not in entities and entities.get("part", "mag") == "mag":
            role = ROLE_OF_SUFFIX[match["suffix"]]
            if filters.let_through(role, entities):
                found.setdefault(role, []).append((entities, name))
            else:
                filtered[role] = name
    lost = sorted(filtered.keys() - found.keys() - {"flair"})  # without a FLAIR there is no visit
    files, notes = {}, [f"{role}: none, as the filter file leaves out {filtered[role]}" for role in lost]
    for role, several in sorted(found.items()):
        several.sort(key=lambda file: ("ce" in file[0], len(file[0]), natural(file[1])))
        files[role] = f"{plain}/{several[0][1]}"
        if len(several) > 1:
            others = ", ".join(name for _, name in several[1:])
            notes.append(f"{role}: {several[0][1]} is used, not {others} (--bids-filter-file chooses)")
    return Visit(subject, session, files, tuple(notes))


def _names(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - 40,000 times
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_filters(path: Path) -> dict[str, dict[str, tuple[str | None, ...]]]:
    """A filter file as fMRIPrep has them: ``{"flair": {"acquisition": "3d"}, "t1w": {"session": ["1", "2"]}}``."""
    known = {suffix.lower(): role for suffix, role in ROLE_OF_SUFFIX.items()}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f'Cannot read the filter file {path}: {error}. Give JSON like {{"flair": {{"acquisition": "3d"}}}}.'
        raise InputError(msg) from error
    filters: dict[str, dict[str, tuple[str | None, ...]]] = {}
    for query, wanted in content.items() if isinstance(content, dict) else ():
        role = known.get(str(query).lower())
        if role is not None and isinstance(wanted, dict):
            filters[role] = _entities(path, str(query), wanted)
        elif query not in OTHER_QUERIES:
            msg = f"{path}: wanted {', '.join(known)}, each with entities and values, found {query!r}. Correct it."
            raise InputError(msg)
    if not filters:
        msg = (
            f"{path}: wanted an object with {', '.join(known)}, each with entities and values, found none. Correct it."
        )
        raise InputError(msg)
    return filters


def _entities(path: Path, query: str, asked: Mapping[str, Any]) -> dict[str, tuple[str | None, ...]]:
    """One query of a filter file. Raises `InputError` where it names what no such image has."""
    filters = {}
    for name, value in asked.items():
        if name in ("datatype", "extension") or value == "Query.OPTIONAL":
            continue  # what every such file has, or need not have
        if name == "suffix" and query.lower() in [str(suffix).lower() for suffix in _values(name, value)]:
            continue  # what the query says already
        if name not in ENTITIES and name not in ENTITIES.values():
            msg = f"{path}, {query}: wanted entities like {', '.join(list(ENTITIES)[:3])}, run, found {name!r}:"
            raise InputError(f"{msg} {value!r}. Correct it.")
        short = ENTITIES.get(name, name)
        filters[short] = _values(short, value)
    return filters


def _values(entity: str, value: Any) -> tuple[str | None, ...]:
    """Values that are wanted, as file names have them; pybids' queries in fMRIPrep's spellings among them."""
    words = {"Query.NONE": None, "Query.ANY": ANY, "Query.REQUIRED": ANY}
    values = value if isinstance(value, list) else [value]
    texts = [None if entry is None else words.get(str(entry), str(entry)) for entry in values]
    return tuple(_index(entity, text) for text in texts)


def _index(entity: str, value: str | None) -> str | None:
    return str(int(value)) if value is not None and entity in INDICES and value.isdecimal() else value


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (" ..." if len(names) > MOST_SHOWN else "")


def natural(text: str) -> list[tuple[int, str]]:
    """Order in which 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
