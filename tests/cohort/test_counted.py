"""Counts of single scans that add up to those of their cohort."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.cohort.counted import counts_path, merged, read_counts
from flairline.cohort.derivatives import mask_path
from flairline.cohort.layout import read_layout
from flairline.errors import InputError
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.io.nifti import read_mask, read_volume


def test_counts_that_were_kept_add_up_to_those_of_the_whole_cohort(bids, finished):
    whole, kept = Counts.empty(), []
    for visit in read_layout(bids / "raw").visits:
        score = read_volume(finished / f"{mask_path(visit).rpartition('_label')[0]}_desc-anomaly_score.nii.gz").array
        brain = read_mask(finished / mask_path(visit, "desc-brain")).array
        truth = read_mask(bids / "masks" / visit.folder / "anat" / f"{visit.name}_label-lesion_mask.nii.gz").array
        whole.update(JudgedScan.from_arrays(score, truth, brain, True), f"sub-{visit.subject}")
        kept.append(read_counts(finished / counts_path(visit.name)))
    added = merged(kept)
    for name in ("gained", "outside", "replicates"):
        assert np.array_equal(getattr(added, name), getattr(whole, name)), name
    assert (added.minimum, added.maximum, added.n_scans) == (whole.minimum, whole.maximum, 4)


def test_they_are_small(finished):
    assert all(path.stat().st_size < 500_000 for path in (finished / "state" / "counts").iterdir())


def test_damaged_counts_are_named(tmp_path):
    (tmp_path / "sub-1.npz").write_bytes(b"half")
    with pytest.raises(InputError, match=r"sub-1\.npz"):
        read_counts(tmp_path / "sub-1.npz")
