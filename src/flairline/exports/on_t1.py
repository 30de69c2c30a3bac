"""What was found, on the T1's own grid, as its file lies: where programs that work on the T1 look for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flairline.errors import InputError
from flairline.exports.label_map import lesion_map
from flairline.imaging.points import carry_mask, identity
from flairline.segmentation import Found
from flairline.types import Case, Mask, Volume

GREY = "grey matter"
"""The region whose lesions no white matter is put into."""


@dataclass(frozen=True, eq=False)
class OnT1:
    """A T1 with its own head, and on its grid what was found.

    Attributes
    ----------
    t1
        The image as it was read, on its own grid.
    lesions, brain
        Set where the mask, and the brain, fill half of a voxel.
    white_lesions
        The lesions without those that lie in grey matter; the same where no region is known.
    """

    t1: Volume
    lesions: Mask
    brain: Mask
    white_lesions: Mask


def check_t1(case: Case) -> None:
    """Raise `InputError` for a case without a T1."""
    if case.t1 is None:
        raise InputError(_no_t1(case.subject))


def on_t1(found: Found) -> OnT1:
    """What was found, carried to the T1's own grid by the map that laid the T1 onto the FLAIR.

    Raises
    ------
    InputError
        The scan has no T1.
    """
    prepared, scan = found.prepared, found.scan
    t1 = scan.t1 if prepared is None or prepared.t1 is None else prepared.t1
    if t1 is None:
        raise InputError(_no_t1(scan.subject))
    to_flair = identity("t1", "native")
    if prepared is not None and prepared.flair_to_t1 is not None:
        to_flair = prepared.flair_to_t1.inverse()
    white = np.array([False, *(lesion.region != GREY for lesion in found.summary.lesions or ())])
    white_lesions = Mask(white[lesion_map(found).numbers], scan.space)
    carried = [carry_mask(mask, t1.space, to_flair) for mask in (found.mask, scan.brain, white_lesions)]
    return OnT1(t1, *carried)


def _no_t1(subject: str) -> str:
    return f"Wanted a T1 for --fill-t1 and --fmriprep-roi, but {subject or 'the scan'} has none. Give it with --t1."
