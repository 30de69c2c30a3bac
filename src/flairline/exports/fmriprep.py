"""The lesion mask as fMRIPrep looks for it, so that lesions do not pull at its normalisation.

fMRIPrep takes every image with the suffix `roi` in a subject's folder `anat` (`collect_data` of niworkflows). Its pages
have `sub-001_T1w_label-lesion_roi.nii.gz` for an example; `T1w` is no entity of BIDS there and is left out. The mask
must be 0 and 1, on the T1w's own grid, voxel by voxel, and there must be one T1w
(https://fmriprep.org/en/stable/workflows.html, "Cost function masking during spatial normalization";
github.com/nipreps/fmriprep/issues/2352, github.com/nipreps/smriprep/issues/58).
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "fmriprep"
"""Beside the mask; what lies in it is a piece of a BIDS folder and is copied onto the data set's."""
ENTITIES = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9+]+)*")
ENDING = "_label-lesion_roi.nii.gz"


def roi_path(t1_name: str, subject: str) -> Path:
    """Where in a BIDS folder the mask belongs: `sub-X/[ses-Y/]anat/sub-X[_ses-Y][_...]_label-lesion_roi.nii.gz`.

    Parameters
    ----------
    t1_name
        The name of the T1's file: its entities (acq-, run- ...) are the mask's, so that the two stand side by side.
    subject
        What the scan is called, as sub-X, sub-X_ses-Y, or any other name where the T1's is none of BIDS.
    """
    entities = _entities(t1_name) or _entities(subject) or f"sub-{re.sub(r'[^A-Za-z0-9]', '', subject) or 'unnamed'}"
    parts = entities.split("_")
    session = next((part for part in parts[1:] if part.startswith("ses-")), "")
    return Path(parts[0], session, "anat", entities + ENDING)


def _entities(name: str) -> str:
    """The entities that a BIDS name begins with, without a label of its own; empty where there are none."""
    found = ENTITIES.match(name)
    return "" if found is None else "_".join(part for part in found[0].split("_") if not part.startswith("label-"))
