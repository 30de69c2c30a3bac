"""The one place where a scan that is not on a protocol's atlas grid is brought there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from flairline.preprocess.assemble import LabelledScan, assemble
from flairline.types import Case


def labelled_on_atlas(
    case: Case,
    atlas: str | None,
    *,
    merge_labels: bool,
    strip_on: Literal["t1", "flair"] = "t1",
    cache: Path | None = None,
) -> LabelledScan:
    """A case's scan and truth on the atlas's grid.

    Parameters
    ----------
    atlas
        "sri24" or a file; None leaves the scan where it is.
    merge_labels
        Merge the labels before they are interpolated; else the label values themselves are interpolated.
    """
    labelled = assemble(case)
    return labelled.with_merged_labels() if merge_labels else labelled
