"""Where lesions lie: regions and places in the atlas; and that nothing else hangs on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS

from flairline.imaging.measure import lesions_of
from flairline.imaging.regions import REGIONS
from flairline.preprocess import whereabouts as asked
from flairline.preprocess.placing import Placement
from flairline.preprocess.whereabouts import whereabouts
from flairline.segmentation import Settings, find_in
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Mask

KNOWN = (
    (Lesion("periventricular", (24, -48, 22), 6.0), "periventricular"),
    (Lesion("punctate", (-27, -8, 34), 4.0), "deep white matter"),
    (Lesion("punctate", (2, -28, -34), 5.0), "infratentorial"),
)
"""Places in the template's mm, which are those of the atlas."""
DEFORMED_MM = 12.0
"""A phantom is deformed by up to a centimetre, and an affine map is some millimetres off."""


@pytest.fixture(scope="module")
def patient():
    """A phantom, its truth, and where its lesions are."""
    made = {}

    def make(orientation: str = "RAS"):
        if orientation not in made:
            made[orientation] = phantom(2, (2, 2, 3), [lesion for lesion, _ in KNOWN], orientation)
        return made[orientation]

    return make


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_stripped_scan_gets_places_and_regions(patient, orientation):
    scan, truth, _ = patient(orientation)
    place = whereabouts(scan)
    assert place.placed_on == "mni" and not place.notes
    lesions = place.with_places(lesions_of(truth, scan.brain, naming=place.naming(scan)), scan)
    assert len(lesions) == len(KNOWN)
    for drawn, region in KNOWN:
        apart_mm = [np.linalg.norm(np.subtract(lesion.centre_atlas_mm, drawn.centre_mm)) for lesion in lesions]
        nearest = lesions[int(np.argmin(apart_mm))]
        assert min(apart_mm) < DEFORMED_MM
        assert nearest.region == region
        assert nearest.side == ("right" if drawn.centre_mm[0] > 0 else "left")
    by_region = place.region_ml(lesions)
    assert tuple(by_region) == REGIONS
    assert sum(by_region.values()) == pytest.approx(truth.volume_ml)
    assert by_region["grey matter"] == 0.0


def test_a_scan_that_was_registered_is_not_placed_again(patient, monkeypatch):
    scan, truth, _ = patient()
    monkeypatch.setattr(asked, "place_on_atlas", lambda scan: pytest.fail("it lies in the atlas already"))
    shift = np.eye(4)
    shift[:3, 3] = 1.0, 2.0, -3.0  # from the atlas's points to the scan's
    place = whereabouts(replace(scan, atlas_to_native=shift))
    (lesion, *_) = place.with_places(lesions_of(truth, scan.brain), scan)
    assert lesion.centre_atlas_mm == pytest.approx(np.subtract(lesion.centre_mm, (1.0, 2.0, -3.0)))
    assert place.placed_on == "" and place.anatomy is not None
    bare = whereabouts(replace(scan, atlas_to_native=shift), regions=False)
    assert bare.native_to_atlas is not None and bare.anatomy is None


def test_masks_and_scores_are_the_same_with_and_without_regions(patient):
    scan, _, _ = patient()
    with_them = find_in(scan, Settings("training-free"))
    without = find_in(scan, Settings("training-free", regions=False))
    assert with_them.score.array.tobytes() == without.score.array.tobytes()
    assert with_them.mask.array.tobytes() == without.mask.array.tobytes()
    plain = with_them.summary.to_json(), without.summary.to_json()
    assert plain[0]["preprocessing"]["placed_on"] == "mni" and sum(plain[0]["region_ml"].values()) == pytest.approx(
        plain[0]["lesion_volume_ml"]
    )
    assert all("region" in lesion and "centre_atlas_mm" in lesion for lesion in plain[0]["lesions"])
    assert "region_ml" not in plain[1] and "preprocessing" not in plain[1]
    assert not any("region" in lesion or "centre_atlas_mm" in lesion for lesion in plain[1]["lesions"])
    assert [flag["figure"] for flag in plain[0]["qc"]["flags"]] == [flag["figure"] for flag in plain[1]["qc"]["flags"]]


@pytest.mark.parametrize("how", ["refuses", "breaks", "part"])
def test_a_placing_that_fails_is_said_and_nothing_depends_on_it(patient, monkeypatch, how):
    scan, _, _ = patient()
    if how == "part":
        few = np.arange(scan.space.shape[2]) < scan.space.shape[2] // 3
        scan = replace(scan, brain=Mask(scan.brain.array & few, scan.space))
    elif how == "refuses":
        monkeypatch.setattr(asked, "place_on_atlas", lambda scan: Placement(None, "No head."))
    else:

        def breaks(scan):
            msg = "no more threads"
            raise RuntimeError(msg)

        monkeypatch.setattr(asked, "place_on_atlas", breaks)
    found = find_in(scan, Settings("training-free"))
    (note,) = found.summary.qc.notes
    assert note.startswith("Lesions have no places in the atlas and no regions: the scan was not laid onto the atlas. ")
    assert {"refuses": "No head.", "breaks": "no more threads", "part": "Wanted a whole brain"}[how] in note
    assert found.summary.region_ml is None and found.summary.preprocessing is None
    assert all(lesion.region is None and lesion.centre_atlas_mm is None for lesion in found.summary.lesions)


def test_where_no_side_is_known_there_are_regions_and_no_places(patient):
    scan, truth, _ = patient()
    space = scan.space.without_sides()
    images = {role: replace(image, space=space) for role, image in scan.images.items()}
    unknown = replace(scan, images=images, brain=replace(scan.brain, space=space))
    place = whereabouts(unknown)
    lesions = place.with_places(
        lesions_of(replace(truth, space=space), unknown.brain, naming=place.naming(unknown)), unknown
    )
    assert {lesion.side for lesion in lesions} == {""} and {lesion.centre_atlas_mm for lesion in lesions} == {None}
    assert {lesion.region for lesion in lesions} == {region for _, region in KNOWN}
