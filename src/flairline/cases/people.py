"""Synthetic people as a BIDS folder: FLAIR and T1 of nobody, with lesions and their truths or without.

Anyone can make them, so methods that learn from healthy scans have a ground in common: no set of healthy FLAIRs may be
downloaded freely by everyone. Each person is drawn as a training scan is (`synthesis.training.draw`) and rendered by
numpy, so that the same seed gives the same bytes wherever it runs; but the brain mask is right.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline import executor
from flairline.cases import people_bids
from flairline.errors import InputError
from flairline.io.files import prepare_folder, sha256, write_json
from flairline.io.nifti import write_counts, write_mask
from flairline.synthesis.anatomy import SOFT
from flairline.synthesis.contrast import CHANNELS
from flairline.synthesis.fields import scaled
from flairline.synthesis.label_map import read_label_map
from flairline.synthesis.mni_classes import NAME as ATLAS
from flairline.synthesis.mni_classes import mni_classes
from flairline.synthesis.plan import ScanPlan
from flairline.synthesis.render_numpy import render
from flairline.synthesis.scanner import BrainMask
from flairline.synthesis.training import draw, truth_of
from flairline.types import Mask, Progress, Space, no_progress

VERSION = 2
"""Goes up when the same seed gives other people, so that no folder mixes both."""
STAMP = Path("code") / "synthesise.json"
"""What the people of a folder are made of."""
WHITE = (200, 1200)
"""Range of what white matter is stored as; scanners have no unit."""
MOST = 32767
"""Brightest value of a file."""
BRAIN_LEVEL = 0.35
"""Where the brain, smoothed by 3 mm, is above this, is the mask: sulci belong to it, the dura does not."""


@dataclass(frozen=True)
class People:
    """Who is made, and where.

    Attributes
    ----------
    folder
        The BIDS folder.
    label_maps
        Files with FreeSurfer's numbers at 1 mm, whose heads the people have in turn; none: the atlas on board, whose
        people have no skull.
    lesions
        Give each person the lesions of one disease, and their truth; else nobody has any.
    t1
        Write a T1 beside the FLAIR.
    seed
        Of everything random. Person k of a seed is the same whatever the number of people, and has the same anatomy
        and FLAIR contrast with lesions and without.
    """

    folder: Path
    label_maps: tuple[Path, ...] = ()
    lesions: bool = True
    t1: bool = True
    seed: int = 0

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the simulator."""
        return CHANNELS if self.t1 else CHANNELS[:1]

    def name(self, number: int) -> str:
        """Of person `number`, counted from 0; people of two seeds never share one, so no model has seen both."""
        return f"sub-{self.seed}p{number + 1:04d}"


@dataclass(frozen=True)
class Made:
    """The people of a folder, and of those that could not be made why."""

    names: tuple[str, ...]
    failed: dict[str, str]


def synthesise_people(people: People, count: int, jobs: int = 2, progress: Progress = no_progress) -> Made:
    """Make people 1 to `count`, those that are not there yet, in so many processes.

    A person who is there is kept, so that the same command goes on where it stopped, and a greater `count` adds people.

    Raises
    ------
    InputError
        A label map cannot be used, or the folder holds people of another seed or kind.
    OutputError
        The folder cannot be written to.
    MissingExtraError
        The atlas is not installed.
    """
    prepare_folder(people.folder)
    _stamp(people)
    waiting = [number for number in range(count) if not _done(people, number)]
    failed = {}
    for finished, outcome in enumerate(executor.run(partial(make_person, people), waiting, jobs), 1):
        if outcome.error is not None:
            failed[people.name(outcome.item)] = outcome.error
        progress("synthesising", count - len(waiting) + finished, count)
    origin = ", ".join(path.name for path in people.label_maps) or ATLAS
    notice = "" if people.label_maps else people_bids.ICBM
    about = people_bids.About(people.lesions, people.t1, people.seed, origin, notice)
    return Made(people_bids.write_about(people.folder, about), failed)


def make_person(people: People, number: int) -> str:
    """Make one person's files, the sidecar of the FLAIR last: who has it is done. Returns the name."""
    anatomy, classes = _anatomy(people, number)
    rng = np.random.default_rng((people.seed, number))
    plan = _with_right_mask(draw(classes, rng, None, people.lesions, people.channels))
    rendered = render(plan)
    has_head = bool((classes >= SOFT).any())
    space = space_of(plan)
    white = int(np.random.default_rng((people.seed, number, VERSION)).integers(*WHITE))
    truth = Mask(truth_of(plan, rendered), space)
    files = people_bids.Files(people.folder, people.name(number))
    if people.t1:
        write_counts(files.image("T1w"), _stored(rendered.images["t1"], rendered.brain, white, has_head), space)
        write_json(files.sidecar("T1w"), people_bids.sidecar("T1w", white, has_head))
    write_mask(files.brain, Mask(rendered.brain, space))
    write_mask(files.truth, truth)
    write_json(files.beside(files.brain), {"Type": "Brain", "RawSources": [files.source]})
    write_json(files.beside(files.truth), {"Type": "Lesion", "RawSources": [files.source]})
    write_counts(files.image("FLAIR"), _stored(rendered.images["flair"], rendered.brain, white, has_head), space)
    kinds = Counter(lesion.kind for lesion in plan.lesions)
    person = people_bids.Person(people.seed, number + 1, anatomy, dict(sorted(kinds.items())), truth.volume_ml)
    write_json(files.sidecar("FLAIR"), people_bids.sidecar("FLAIR", white, has_head, person))
    return people.name(number)


def space_of(plan: ScanPlan) -> Space:
    """The grid of a plan: 1 mm in RAS+, counted from its middle."""
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, 3] = [axis[0] for axis in plan.axes_mm]
    return Space(plan.shape, vox_to_ras)


def _with_right_mask(plan: ScanPlan) -> ScanPlan:
    """The plan with a brain mask as it should be: training scans have one that is a little wrong, or cut off."""
    assert plan.brain_mask is not None
    even = scaled(plan.brain_mask.wobble, 0.0)
    return replace(plan, brain_mask=BrainMask(BRAIN_LEVEL, even, None, filled=True, cut=None))


def _stored(image: NDArray[np.float32], brain: NDArray[np.bool_], white: int, has_head: bool) -> NDArray[np.int16]:
    """An image as a scanner stores it: whole numbers, at least 1 in the brain; without a head nothing around it."""
    counts = np.clip(np.rint(np.abs(image) * white), 0, MOST).astype(np.int16)
    counts[brain] = np.maximum(counts[brain], 1)
    if not has_head:
        counts[~brain] = 0
    return counts


def _done(people: People, number: int) -> bool:
    return people_bids.Files(people.folder, people.name(number)).sidecar("FLAIR").exists()


def _stamp(people: People) -> None:
    """Note what the people of a folder are made of; those that are there already must be of the same."""
    path = people.folder / STAMP
    made_of = {
        "version": VERSION,
        "seed": people.seed,
        "lesions": people.lesions,
        "t1": people.t1,
        "label maps": [sha256(_checked(label_map)) for label_map in people.label_maps],
    }
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else made_of
    except ValueError:
        before = {}
    changed = [what for what in made_of if before.get(what) != made_of[what]]
    if changed:
        msg = (
            f"{people.folder} holds other synthetic people ({', '.join(changed)} differ, see {path}), and no folder"
            " mixes two kinds. Give another folder with -o, or the same words as before."
        )
        raise InputError(msg)
    write_json(path, made_of)


def _checked(path: Path) -> Path:
    """A label map's file that is one. Raises `InputError`."""
    _classes_of(path)
    return path


def _anatomy(people: People, number: int) -> tuple[str, NDArray[np.uint8]]:
    """Name and class map of the head that a person has."""
    if not people.label_maps:
        return ATLAS, _atlas_classes()
    path = people.label_maps[number % len(people.label_maps)]
    return hashlib.sha256(_classes_of(path).tobytes()).hexdigest()[:12], _classes_of(path)


@lru_cache(maxsize=1)
def _atlas_classes() -> NDArray[np.uint8]:
    return mni_classes()


@lru_cache(maxsize=32)
def _classes_of(path: Path) -> NDArray[np.uint8]:
    return read_label_map(path)
