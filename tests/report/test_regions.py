"""What lies where in an atlas."""

from __future__ import annotations

import pytest

from flairline.preprocess.atlas import load_atlas
from flairline.report.regions import tissues_of
from flairline.report.sections.lesions import nearest_label


@pytest.fixture(scope="module")
def tissues():
    return tissues_of(load_atlas("mni"))


@pytest.mark.parametrize(
    ("place_mm", "tissue"),
    [
        ((26.0, -10.0, 30.0), "white matter"),  # corona radiata
        ((-26.0, -10.0, 30.0), "white matter"),
        ((18.0, 44.0, 6.0), "white matter"),  # frontal
        ((14.0, 10.0, 10.0), "grey matter"),  # caudate
        ((-10.0, -20.0, 8.0), "grey matter"),  # thalamus
    ],
)
def test_tissues_of_the_mni_atlas_are_where_they_belong(tissues, place_mm, tissue):
    assert nearest_label(tissues, place_mm) == tissue


def test_neither_tissue_of_the_mni_atlas_takes_the_others_place(tissues):
    grey_ml, white_ml = ((tissues.array == number).sum() * tissues.space.voxel_ml for number in (2, 3))
    assert 800 < grey_ml < 1300 and 450 < white_ml < 800
