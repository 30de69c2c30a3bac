"""The one place where a case is read for judging: on its own grid, or brought to the grid of an atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from flairline.errors import GridError
from flairline.io.nifti import read_volume
from flairline.preprocess.assemble import LabelledScan, assemble, different_grids
from flairline.preprocess.labels import LabelRule
from flairline.preprocess.pipeline import Prepared, PreprocessSettings, is_raw, prepare
from flairline.preprocess.register import carry_mask, carry_volume
from flairline.types import Case, Mask, Volume


def labelled_on_atlas(
    case: Case,
    atlas: str | None,
    *,
    merge_labels: bool,
    strip_on: Literal["t1", "flair"] = "t1",
    cache: Path | None = None,
) -> LabelledScan:
    """A case's scan and truth on the atlas's grid, or on their own.

    Images and labels are interpolated once, linearly. A scan of a data set that is distributed with its skull has its
    brain extracted; one of a table of cases must come stripped or with a brain where it stays on its own grid.

    Parameters
    ----------
    atlas
        "sri24" or a file; None leaves the scan where it is.
    merge_labels
        Merge the labels before they are interpolated; else the label values themselves are interpolated.
    strip_on
        The image whose brain is extracted.
    cache
        Folder to keep brains and registrations in.

    Raises
    ------
    InputError
        A file cannot be read, grids do not match, there is no brain, or the registration failed.
    """
    of_data_set = LabelRule.of(case).one_grid
    if atlas is None and not (of_data_set and is_raw(case)):
        labelled = assemble(case)
        return labelled.with_merged_labels() if merge_labels else labelled
    settings = PreprocessSettings(
        strip_on=strip_on, atlas=atlas or "mni", to_atlas="never" if atlas is None else "always"
    )
    prepared = prepare(case, settings, cache)
    labelled = _labelled(case, prepared)
    if merge_labels:
        labelled = labelled.with_merged_labels()
    return labelled if atlas is None else _carried(labelled, prepared, case)


def _labelled(case: Case, prepared: Prepared) -> LabelledScan:
    """The prepared scan with its labels, which are still on the truth's own grid."""
    rule = LabelRule.of(case)
    if case.truth is None:
        return LabelledScan(prepared.scan, None, rule)
    truth = read_volume(case.truth)
    labels = np.nan_to_num(truth.array)
    rule.check(labels, str(case.truth))
    if rule.one_grid and not truth.space.same_grid(prepared.scan.space):
        raise GridError(different_grids(case.truth, truth.space, case.flair, prepared.scan.space))
    return LabelledScan(prepared.scan, labels, rule)


def _carried(labelled: LabelledScan, prepared: Prepared, case: Case) -> LabelledScan:
    atlas, to_native = prepared.atlas, prepared.atlas_to_native
    assert atlas is not None
    assert to_native is not None
    labels, ignored = labelled.labels, labelled.ignored
    if labels is not None and case.truth is not None:
        # The truth's own grid: its points are those of the FLAIR, whatever its voxels are.
        space = read_volume(case.truth).space
        labels = carry_volume(Volume(labels.astype(np.float32), space), atlas.space, to_native).array
        ignored = None if ignored is None else carry_mask(Mask(ignored, space), atlas.space, to_native).array
    return LabelledScan(prepared.atlas_scan(), labels, labelled.rule, ignored)
