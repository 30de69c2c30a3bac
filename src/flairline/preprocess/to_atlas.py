"""The one place where a case is read for judging: on its own grid, or brought to the grid of an atlas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from flairline.errors import GridError
from flairline.imaging.labels import LabelRule
from flairline.io.nifti import read_volume
from flairline.preprocess.assemble import LabelledScan, assemble, different_grids
from flairline.preprocess.pipeline import Prepared, PreprocessSettings, is_raw, prepare
from flairline.preprocess.register import carry_mask, carry_volume
from flairline.types import Case, Mask, Volume


def labelled_scan(
    case: Case,
    atlas: str | None,
    *,
    merge_labels: bool,
    settings: PreprocessSettings | None = None,
    cache: Path | None = None,
) -> LabelledScan:
    """A case's scan and truth on the atlas's grid, or on their own. A raw scan has its brain extracted.

    Images and labels are interpolated once, linearly.

    Parameters
    ----------
    atlas
        "sri24" or a file; None leaves the scan where it is.
    merge_labels
        Merge the labels before they are interpolated; else the label values themselves are interpolated.
    settings
        How a scan is prepared that needs it; its atlas is the one above.
    cache
        Folder to keep brains and registrations in.

    Raises
    ------
    InputError
        A file cannot be read, grids do not match, there is no brain, or the registration failed.
    """
    if atlas is None and not is_raw(case):
        labelled = assemble(case)
        return labelled.with_merged_labels() if merge_labels else labelled
    to_atlas = atlas is not None
    settings = replace(
        settings or PreprocessSettings(), atlas=atlas or "mni", to_atlas="always" if to_atlas else "never"
    )
    prepared = prepare(case, settings, cache)
    return _with_truth(case, prepared, on_atlas=to_atlas, merge_labels=merge_labels)


def _with_truth(case: Case, prepared: Prepared, *, on_atlas: bool, merge_labels: bool) -> LabelledScan:
    """The prepared scan with its labels carried onto its grid, or onto the atlas's."""
    rule, scan = LabelRule.of(case), prepared.atlas_scan() if on_atlas else prepared.scan
    if case.truth is None:
        return LabelledScan(scan, None, rule)
    truth = read_volume(case.truth)
    labels = rule.read(truth.array, str(case.truth))
    if rule.one_grid and not truth.space.same_grid(prepared.scan.space):
        raise GridError(different_grids(case.truth, truth.space, case.flair, prepared.scan.space))
    ignored = rule.to_ignore(labels) if merge_labels and rule.ignored else None
    if merge_labels:
        labels = rule.merged(labels)
    if not truth.space.same_grid(scan.space):
        to_truth = prepared.to_truth(truth.space, on_atlas)
        labels = carry_volume(Volume(labels.astype(np.float32), truth.space), scan.space, to_truth).array
        ignored = None if ignored is None else carry_mask(Mask(ignored, truth.space), scan.space, to_truth).array
    return LabelledScan(scan, labels, rule, ignored)
