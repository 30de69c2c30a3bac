"""A finished subject, read back for what comes after: FLAIR, brain, mask and summary, from `segment` or from `bids`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from flairline.cohort import derivatives
from flairline.cohort.layout import Visit
from flairline.cohort.state import STATES, path_of, read_state
from flairline.errors import GridError, InputError
from flairline.io.files import sha256
from flairline.io.nifti import read_mask, read_volume
from flairline.report.segmented import read_object
from flairline.segmentation import SOURCES, Found
from flairline.summary import SUMMARY, Summary
from flairline.types import Mask, Volume

DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True, eq=False)
class FinishedVisit:
    """One scan that was segmented; all images lie on the FLAIR's own grid.

    Attributes
    ----------
    name
        What it is called.
    patient
        Whose it is, where that is known beyond doubt (BIDS); else empty.
    """

    name: str
    flair: Volume
    brain: Mask
    mask: Mask
    summary: Summary
    patient: str = ""

    @classmethod
    def of(cls, found: Found) -> FinishedVisit:
        """What is in memory."""
        name = found.summary.subject or found.scan.subject
        return cls(name, found.scan.flair, found.scan.brain, found.mask, found.summary)

    @property
    def flair_sha256(self) -> str:
        """Of the file that was segmented; empty where nobody knows."""
        known = (self.summary.inputs or {}).get("flair")
        return (known.sha256 or "") if known is not None else ""


@dataclass(frozen=True)
class _Files:
    """Where the files of a finished scan lie; `flair` is None where nothing says it."""

    name: str
    summary: Path
    brain: Path
    mask: Path
    flair: Path | None
    patient: str = ""


def read_finished(
    folder: Path, flair: Path | None = None, moved: str = "Name it: --earlier-flair, --later-flair."
) -> FinishedVisit:
    """A subject's folder as `segment` (OUT/SUBJECT) or `bids` (OUT/sub-x or OUT/sub-x/ses-y) leaves it.

    Parameters
    ----------
    flair
        The FLAIR that was segmented, where it has moved since.
    moved
        What to do where it has moved and is not given, for the error.

    Raises
    ------
    InputError
        It is no such folder, the scan failed or was cut off, or its FLAIR is gone or another one.
    GridError
        Mask or brain do not lie on the FLAIR's grid.
    """
    if not folder.is_dir():
        msg = f"Wanted the folder of a finished subject, but there is none at {folder}. Segment the scan first."
        raise InputError(msg)
    root = next((place for place in (folder, *folder.resolve().parents[:3]) if (place / DESCRIPTION).exists()), None)
    files = _segmented(folder) if root is None else _of_bids(root.resolve(), folder.resolve())
    summary = Summary.read(files.summary)
    source = flair or files.flair
    if source is None or not source.exists():
        gone = f"its FLAIR is not at {source} any more" if source is not None else "nothing says where its FLAIR lies"
        msg = f"Wanted the scan that {folder} was made of, but {gone}. {moved}"
        raise InputError(msg)
    known = (summary.inputs or {}).get("flair")
    if known is not None and known.sha256 and sha256(source) != known.sha256:
        msg = f"Wanted the FLAIR that {folder} was made of ({known.file}), but {source} is another. Give that file."
        raise InputError(msg)
    visit = FinishedVisit(
        files.name, read_volume(source), read_mask(files.brain), read_mask(files.mask), summary, files.patient
    )
    for image, path in ((visit.brain, files.brain), (visit.mask, files.mask)):
        if not image.space.same_grid(visit.flair.space):
            msg = (
                f"{path} is not on the grid of {source}: {image.space.describe()} against"
                f" {visit.flair.space.describe()}. Give the FLAIR that was segmented."
            )
            raise GridError(msg)
    return visit


def _segmented(folder: Path) -> _Files:
    """What `segment` left."""
    if not (folder / SUMMARY).exists():
        msg = f"Wanted a finished subject, but {folder} has no {SUMMARY}: it failed or was cut off. Segment it again."
        raise InputError(msg)
    known = read_object(folder / SOURCES)
    flair = folder / str(known["flair"]) if "flair" in known else None
    name = folder.resolve().name
    return _Files(name, folder / SUMMARY, folder / "brain.nii.gz", folder / "mask.nii.gz", flair)


def _of_bids(root: Path, folder: Path) -> _Files:
    """What `bids` left of one visit."""
    parts = [part for part in folder.relative_to(root).parts if part != "anat"]
    if not parts or not parts[0].startswith("sub-"):
        msg = f"Wanted the folder of one subject, but {folder} is that of all. Name {root}/sub-x, or a session in it."
        raise InputError(msg)
    sessions = sorted(path.name for path in folder.glob("ses-*") if path.is_dir())
    if len(parts) == 1 and sessions and read_state(path_of(root, parts[0])) is None:
        if len(sessions) > 1:
            msg = f"Wanted one visit, but {folder} has {len(sessions)}: {', '.join(sessions)}. Name one of them."
            raise InputError(msg)
        parts += sessions
    visit = Visit(parts[0].removeprefix("sub-"), "".join(parts[1:2]).removeprefix("ses-"), {})
    state = read_state(path_of(root, visit.name))
    if state is None or not (state.status == "failed" or state.is_whole(root)):
        where = f"{root / STATES}/{visit.name}.json"
        msg = f"Wanted a finished scan, but {visit.name} is not done by {where}. Run the participant level."
        raise InputError(msg)
    if state.status == "failed":
        msg = f"Wanted a finished scan, but {visit.name} failed: {state.error} Mend that and run the participant level."
        raise InputError(msg)
    raw = read_object(root / DESCRIPTION).get("DatasetLinks", {}).get(derivatives.RAW, "")
    flair = Path(unquote(urlparse(raw).path)) / state.inputs["flair"].path if raw else None
    brain, mask = (root / derivatives.mask_path(visit, what) for what in ("desc-brain", "label-lesion"))
    summary = root / derivatives.summary_path(visit)
    return _Files(visit.name, summary, brain, mask, flair, f"sub-{visit.subject}")
