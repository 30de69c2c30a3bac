"""What is said of a case beyond its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flairline.cases.columns import columns_of
from flairline.types import Case


def test_paths_and_words_for_the_reader_are_no_columns_of_a_scan():
    extra = {"age": "70", "sex": "f", "known_labels": "0 1", "one_grid": "yes", "lesions": "in/lesions.nii.gz", "": "x"}
    case = Case("d", "s", flair=Path("f.nii"), site="A", extra=extra)
    assert columns_of(case) == {"site": "A", "age": "70", "sex": "f"}


def test_scans_of_a_bids_folder_have_the_columns_of_their_subjects(tmp_path, save):
    from flairline.datasets.bids import Dataset

    for name in ("01", "02"):
        for what in ("FLAIR", "label-lesion_mask"):
            save(tmp_path / f"sub-{name}" / "anat" / f"sub-{name}_{what}.nii.gz", np.ones((3, 4, 5), np.uint8))
    assert [columns_of(case) for case in Dataset(tmp_path).cases()] == [{}, {}]
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tone_grid\nsub-02\t70\tno\n")
    assert [columns_of(case) for case in Dataset(tmp_path).cases()] == [{}, {"age": "70"}]
    assert {case.extra["one_grid"] for case in Dataset(tmp_path).scans()} == {"yes"}
