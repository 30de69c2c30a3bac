"""The one door through which a case's files become a scan: as it lies where that will do, else prepared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flairline.errors import GridError
from flairline.imaging.resample import covered_by, resample_mask, resample_volume
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess.brain import BrainSource, brain_from_background, check_brain, without_background_nan
from flairline.preprocess.images import Images, is_raw, read_images, reading_notes, truth_notes
from flairline.preprocess.prepared import Prepared, check_truth, different_grids
from flairline.preprocess.preparing import prepared_by_steps
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case, Mask, Progress, Scan, Space, Volume, no_progress

DEFAULTS = PreprocessSettings()


def read_scan(
    case: Case,
    settings: PreprocessSettings = DEFAULTS,
    store_folder: Path | None = None,
    progress: Progress = no_progress,
) -> Prepared:
    """Read a case's files into a scan that is ready for a method.

    A scan that is stripped and whose images lie on one grid is taken as it lies, unless the settings ask for more;
    any other has its brain found, its T1 laid onto the FLAIR and, as the settings say, the atlas registered to it.

    Parameters
    ----------
    case
        FLAIR, and where there are, T1 (on any grid), T2 (on the FLAIR's), brain (on the FLAIR's or T1's grid) and
        truth (on any grid of the FLAIR's coordinates, or the T1's).
    store_folder
        Where results of steps are kept, and an atlas that is fetched; None keeps nothing.
    progress
        Called with each step's name before it runs.

    Raises
    ------
    InputError
        A file cannot be read, grids do not match, there is no brain, T1 and FLAIR are of different heads, or the
        registration failed.
    OutputError
        `store_folder` cannot be written to.
    """
    images = read_images(case)
    if settings.takes_stripped_as_it_lies and not is_raw(case, images):
        return _as_it_lies(case, images, settings)
    return prepared_by_steps(case, images, settings, store_folder, progress)


def _as_it_lies(case: Case, images: Images, settings: PreprocessSettings) -> Prepared:
    """The scan on the FLAIR's grid, or on the truth's.

    The brain is the given file, else what differs from the background. What a scan does not cover of the truth's grid
    is left out of the brain.
    """
    flair = images.flair
    truth = read_volume(case.truth) if case.truth else None
    t2 = read_volume(case.t2) if case.t2 else None
    others = {
        role: _on_flair_grid(image, flair, getattr(case, role))
        for role, image in (("t1", images.t1), ("t2", t2))
        if image is not None
    }
    given_brain = read_mask(case.brain) if case.brain else None
    moves = truth is not None and settings.grid == "truth" and not truth.space.same_grid(flair.space)
    space = truth.space if truth is not None and moves else flair.space
    if truth is not None:
        check_truth(case, truth, flair.space)
    brain = _brain(case, flair, given_brain, truth, space)
    if space is not flair.space:
        flair = resample_volume(Volume(without_background_nan(flair.array), flair.space), space)
        others = {role: resample_volume(image, space) for role, image in others.items()}
    check_brain(flair, brain, str(case.flair))
    sources = {name: str(path) for name in ("flair", "t1", "t2", "brain", "truth") if (path := getattr(case, name))}
    cleared = {role: _outside_cleared(image, brain) for role, image in others.items()}
    scan = Scan.of(case.subject, _outside_cleared(flair, brain), brain, cleared.get("t1"), cleared.get("t2"), sources)
    read = (("flair", images.flair), ("t1", images.t1), ("t2", t2), ("brain", given_brain))
    notes = [note for name, image in read if image is not None for note in reading_notes(name, image)]
    notes += truth_notes(truth)
    source = BrainSource("background", "flair") if case.brain is None else BrainSource("given", "flair", case.brain)
    return Prepared(case, scan, source, truth, as_it_lies=True, notes=tuple(notes), t1=images.t1)


def _brain(case: Case, flair: Volume, given: Mask | None, truth: Volume | None, space: Space) -> Mask:
    """The brain on `space`, which is the FLAIR's grid or the truth's, as far as the FLAIR reaches."""
    if given is None:
        brain = brain_from_background(flair, str(case.flair))
    elif given.space.same_grid(flair.space):
        brain = Mask(given.array, flair.space)
    elif truth is not None and given.space.same_grid(truth.space):
        brain = Mask(given.array, truth.space)
    else:
        raise GridError(different_grids(case.brain, given.space, case.flair, flair.space))
    if not brain.space.same_grid(space):
        brain = resample_mask(brain, space)
    if space.same_grid(flair.space):
        return Mask(brain.array, space)
    return Mask(brain.array & covered_by(flair.space, space), space)


def _on_flair_grid(image: Volume, flair: Volume, path: Path | None) -> Volume:
    if not image.space.same_grid(flair.space):
        raise GridError(different_grids(path, image.space, "the FLAIR", flair.space))
    return Volume(image.array, flair.space)


def _outside_cleared(image: Volume, brain: Mask) -> Volume:
    """NaN outside the brain would spread through filters; zero does not."""
    return Volume(np.where(np.isnan(image.array) & ~brain.array, np.float32(0), image.array), image.space)
