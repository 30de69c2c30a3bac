"""A case's images as they were read, and which brains are known before any is searched for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from flairline.errors import GridError, InputError
from flairline.io.masks import marking_note
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess.brain import BrainSource, brain_from_background, check_brain, is_stripped
from flairline.preprocess.prepared import different_grids
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case, Mask, Volume

Role = Literal["flair", "t1"]


@dataclass(frozen=True, eq=False)
class Images:
    """FLAIR and T1, each on its own grid; `t1` is None where there is none."""

    flair: Volume
    t1: Volume | None = None
    _stripped: dict[Role, bool] = field(default_factory=dict, repr=False)

    def is_stripped(self, role: Role) -> bool:
        """Whether only a brain is left of an image; looked at once."""
        if role not in self._stripped:
            self._stripped[role] = is_stripped(self.by_role()[role])
        return self._stripped[role]

    def by_role(self) -> dict[Role, Volume]:
        """Those that there are, the FLAIR first."""
        return {"flair": self.flair} if self.t1 is None else {"flair": self.flair, "t1": self.t1}

    def notes(self) -> list[str]:
        """What the reader had to decide about each."""
        return [note for role, image in self.by_role().items() for note in reading_notes(role, image)]


@dataclass(frozen=True, eq=False)
class FoundBrain:
    """A brain on its image's grid, where it came from, and what the reader of its file had to decide."""

    mask: Mask
    source: BrainSource
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KnownBrains:
    """Brains that need no search, by the image they are of.

    `is_given` tells that the user gave one: it is believed, and carried to the other image. `notes` say it in words.
    """

    found: dict[Role, FoundBrain]
    is_given: bool
    notes: tuple[str, ...] = ()


def read_images(case: Case) -> Images:
    """FLAIR and T1 of a case.

    Raises
    ------
    InputError
        There is no FLAIR, or a file cannot be read.
    """
    if case.flair is None:
        msg = f"The case {case.subject!r} has no FLAIR. Fill the column flair."
        raise InputError(msg)
    return Images(read_volume(case.flair), None if case.t1 is None else read_volume(case.t1))


def reading_notes(role: str, image: Volume | Mask) -> list[str]:
    """What the reader had to decide about an image or a mask, in words; empty where nothing."""
    stored = image.space.stored
    return [f"{role}: {stored.note}"] if stored is not None and stored.note else []


def truth_notes(truth: Volume | None) -> list[str]:
    """The same for a truth, whose labels are read as they are."""
    if truth is None:
        return []
    note = marking_note(truth.array, "lesion")
    return [*reading_notes("truth", truth), *([f"truth: {note}"] if note else [])]


def is_raw(case: Case, images: Images) -> bool:
    """Whether a case needs preparing: a head around the brain and no brain given, or images on different grids."""
    if case.brain is not None and images.t1 is None:
        return False
    if images.t1 is not None and not images.t1.space.same_grid(images.flair.space):
        return True
    return case.brain is None and not images.is_stripped("flair")


def known_brains(case: Case, images: Images, settings: PreprocessSettings) -> KnownBrains:
    """The brain of a file, and what differs from the background of a stripped image.

    Raises
    ------
    GridError
        The file's grid is neither the FLAIR's nor the T1's.
    BrainError
        A brain is empty or cannot be measured, or the scan was said to be stripped and is not.
    """
    found, notes = _given_brain(case, images, settings), list[str]()
    is_given = bool(found)
    for role, given in found.items():
        notes += [f"The brain is the given file's, on the grid of the {role}.", *given.notes]
    for role, image in images.by_role().items():
        if role in found:
            continue
        name = str(getattr(case, role))
        is_stripped_by_word = settings.brain == "none"
        if is_stripped_by_word or (settings.brain == "auto" and images.is_stripped(role)):
            notes.append(f"The {role} is skull-stripped: its brain is what differs from the background.")
        elif not (is_given and images.is_stripped(role)):
            continue
        found[role] = FoundBrain(brain_from_background(image, name), BrainSource("background", role))
    return KnownBrains(found, is_given, tuple(notes))


def _given_brain(case: Case, images: Images, settings: PreprocessSettings) -> dict[Role, FoundBrain]:
    """A brain from a file: on the FLAIR's grid or on the T1's."""
    path = case.brain or settings.brain_file
    if path is None:
        return {}
    brain = read_mask(path)
    for role, image in images.by_role().items():
        if brain.space.same_grid(image.space):
            mask = Mask(brain.array, image.space)
            check_brain(image, mask, str(getattr(case, role)))
            notes = tuple(reading_notes("brain", brain))
            return {role: FoundBrain(mask, BrainSource("given", role, file=path), notes)}
    raise GridError(different_grids(path, brain.space, case.flair, images.flair.space))
