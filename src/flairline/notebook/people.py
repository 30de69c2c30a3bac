"""Scans of nobody: `synthesise`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flairline.types import Case


def synthesise(
    out: Path | str,
    count: int = 20,
    label_maps: Sequence[Path | str] = (),
    lesions: bool = True,
    t1: bool = True,
    seed: int = 0,
    jobs: int = 1,
) -> list[Case]:
    """FLAIR and T1 of synthetic people as a BIDS folder, with lesions and their truths or healthy.

    Parameters
    ----------
    out
        The folder to write. People who are there already are kept.
    count
        How many people.
    label_maps
        Files with FreeSurfer's numbers at 1 mm, whose heads the people have; none: the atlas on board.
    lesions
        False: nobody has any, so that methods can learn from them (`fit`).
    t1
        Write a T1 beside each FLAIR.
    seed
        Of everything random. The same seed gives the same bytes, and person k does not depend on `count`.
    jobs
        Processes to work in. A script that gives more than one must be guarded by ``if __name__ == "__main__"``.

    Returns
    -------
    list of Case
        FLAIR, T1, brain and truth of each.

    Raises
    ------
    InputError
        A label map cannot be used, or the folder holds people of another seed or kind.
    FlairlineError
        A person could not be made.

    Examples
    --------
    >>> import flairline as fl
    >>> fl.synthesise("people", label_maps=["labels.nii.gz"])
    Traceback (most recent call last):
    flairline.errors.ImageError: No such file: labels.nii.gz. Check the path.
    """
    from flairline.cases.people import People, synthesise_people
    from flairline.datasets.bids import Dataset
    from flairline.errors import FlairlineError

    folder = Path(out)
    people = People(folder, tuple(Path(path) for path in label_maps), lesions, t1, seed)
    failed = synthesise_people(people, count, jobs).failed
    for name, reason in failed.items():
        msg = f"{len(failed)} of {count} people could not be made. {name}: {reason}"
        raise FlairlineError(msg)
    return Dataset(folder).cases()
