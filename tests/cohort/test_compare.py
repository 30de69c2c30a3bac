"""Two visits of one patient: phantoms whose growth is known, in every orientation, each visit in a pose of its own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from tests.conftest import rotation

from flairline.cohort import stability
from flairline.cohort.compare import COLUMNS, check, compare
from flairline.cohort.finished import FinishedVisit
from flairline.errors import BrainError, GridError, InputError
from flairline.imaging.changes import ENLARGING, NEW, NOT_COVERED, RESOLVED, SHRINKING, STABLE, Spread
from flairline.imaging.measure import lesions_of
from flairline.summary import InputFile, Parameters, Summary
from flairline.types import Mask, Space, StoredGrid, Threshold, Volume

SIDES_MM = np.array([52.0, 64.0, 46.0])
LESIONS = {  # centre in the head's mm -> radius at each visit
    "grows": ((-20.0, 15.0, 10.0), 6.0, 9.0),
    "stays": ((22.0, -12.0, 12.0), 6.0, 6.0),
    "shrinks": ((-18.0, -25.0, -8.0), 8.0, 5.5),
    "comes": ((25.0, 20.0, -4.0), 0.0, 5.0),
    "goes": ((0.0, -40.0, 8.0), 5.0, 0.0),
}
BECAME = {"grows": ENLARGING, "stays": STABLE, "shrinks": SHRINKING, "comes": NEW, "goes": RESOLVED}
POSES = [((4.0, -5.0), (3.0, -4.0, 2.0)), ((-5.0, 6.0), (-4.0, 3.0, 5.0))]


def sphere_ml(radius_mm):
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def grid(orientation, spacing_mm=(2.0, 2.0, 2.0)):
    """A grid in RAS+ order around the head, which remembers how it lies on disk."""
    shape = tuple(int(2 * (side + 14) / step) for side, step in zip(SIDES_MM, spacing_mm, strict=True))
    affine = np.diag([*spacing_mm, 1.0])
    if orientation == "oblique":
        affine[:3, :3] = rotation(12, 8) @ affine[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    codes = axcodes2ornt("PIR" if orientation == "oblique" else orientation)
    stored = tuple(shape[int(axis)] for axis in codes[:, 0])
    return Space(
        shape, affine, "native", StoredGrid(stored, affine @ np.linalg.inv(inv_ornt_aff(codes, stored)), codes)
    )


def visit(which, orientation="RAS", spacing_mm=(2.0, 2.0, 2.0), seed=0, lesions=LESIONS):
    """A head at its earlier (0) or later (1) visit: texture and lesions are the head's, pose and noise the visit's."""
    space = grid(orientation, spacing_mm)
    turn, shift = rotation(*POSES[which][0]), np.array(POSES[which][1])
    places = np.moveaxis(np.indices(space.shape), 0, -1) @ space.vox_to_ras[:3, :3].T + space.vox_to_ras[:3, 3]
    head = (places - shift) @ turn  # the inverse of a turn is its transpose
    rng = np.random.default_rng(seed)
    texture = np.zeros(space.shape)
    for centre, width, height in zip(
        rng.uniform(-1, 1, (40, 3)) * SIDES_MM, rng.uniform(5, 14, 40), rng.uniform(-40, 40, 40), strict=True
    ):
        texture += height * np.exp(-((head - centre) ** 2).sum(axis=-1) / (2 * width**2))
    brain = ((head / SIDES_MM) ** 2).sum(axis=-1) <= 1
    mask = np.zeros(space.shape, bool)
    for centre, *radii in lesions.values():
        mask |= ((head - centre) ** 2).sum(axis=-1) <= radii[which] ** 2 if radii[which] else False
    noise = np.random.default_rng(100 + which).normal(0, 2, space.shape)
    flair = np.where(brain, 100 + texture + 60 * mask + noise, 0).astype(np.float32)
    images = Volume(flair, space), Mask(brain, space), Mask(mask, space)
    summary = Summary(
        recipe="measured", method="m", threshold=Threshold(1.0, "given", "user"), parameters=Parameters(components={})
    )
    return FinishedVisit(f"visit-{which}", *images, summary.measured(images[2], images[1], lesions_of(*images[2:0:-1])))


def known_points():
    """Points of the earlier visit to those of the later one."""
    poses = []
    for degrees, shift in POSES:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation(*degrees), shift
        poses.append(pose)
    return poses[1] @ np.linalg.inv(poses[0])


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """A recipe whose stability is known: 3 % of all, and of a lesion what a twentieth of a millimetre does."""
    pair = stability.Pair("measured", "head", "turned", "rigid", 100.0, 103.0, 0.95, 0.99, 50, 0.15)
    wider = replace(pair, change="voxels", kind="voxels", ml=110.0)
    monkeypatch.setattr(stability, "pairs", lambda: (pair, wider))


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_what_became_of_each_lesion_is_known_in_every_orientation_and_pose(orientation):
    earlier, later = visit(0, orientation), visit(1, "RAS" if orientation == "oblique" else orientation)
    compared = compare(earlier, later)
    found = compared.comparison
    assert found.registration.brain_dice > 0.96
    turned = known_points()[:3, :3]
    assert found.registration.turned_degrees == pytest.approx(
        np.degrees(np.arccos((np.trace(turned) - 1) / 2)), abs=0.5
    )
    ours = compared.earlier.from_halfway.inverse().then(compared.later.from_halfway).ras_to_ras
    corners = np.array([[x, y, z, 1.0] for x in (-50, 50) for y in (-60, 60) for z in (-45, 45)])
    assert np.linalg.norm(corners @ (ours - known_points()).T, axis=1).max() < 1.0
    by_place = {}
    for lesion in found.lesions:
        # The halfway pose is about the head's own: the two poses are nearly opposite.
        name = min(LESIONS, key=lambda name: np.linalg.norm(np.array(LESIONS[name][0]) - lesion.centre_mm))
        by_place[name] = lesion
    assert {name: lesion.kind for name, lesion in by_place.items()} == BECAME and len(found.lesions) == 5
    for name, (centre, first, second) in LESIONS.items():
        lesion = by_place[name]
        assert lesion.earlier_ml == pytest.approx(sphere_ml(first), rel=0.15)
        assert lesion.later_ml == pytest.approx(sphere_ml(second), rel=0.15)
        if centre[0]:
            assert lesion.side == ("right" if centre[0] > 0 else "left")
        # In each visit's own coordinates it lies where that visit's pose put it.
        for which, own in enumerate((lesion.earlier_centre_mm, lesion.later_centre_mm)):
            turn, shift = rotation(*POSES[which][0]), np.array(POSES[which][1])
            assert np.linalg.norm(turn @ centre + shift - own) < 2.5
    assert sum(lesion.earlier_ml for lesion in found.lesions) == pytest.approx(earlier.mask.volume_ml)
    assert sum(lesion.later_ml for lesion in found.lesions) == pytest.approx(later.mask.volume_ml)
    assert found.kinds[NEW].later_ml == by_place["comes"].later_ml and found.kinds[NEW].earlier_ml == 0
    grown = later.mask.volume_ml - earlier.mask.volume_ml
    assert found.change_ml == pytest.approx(grown) and found.verdict == ("larger" if grown > 0 else "smaller")


def test_exchanged_visits_give_the_same_with_the_words_exchanged():
    earlier, later = visit(0), visit(1, "LPS")
    there, back = compare(earlier, later).comparison, compare(later, earlier).comparison
    opposite = {NEW: RESOLVED, RESOLVED: NEW, ENLARGING: SHRINKING, SHRINKING: ENLARGING, STABLE: STABLE}
    first = {(le.kind, round(le.earlier_ml, 9), round(le.later_ml, 9), le.side) for le in there.lesions}
    second = {(opposite[le.kind], round(le.later_ml, 9), round(le.earlier_ml, 9), le.side) for le in back.lesions}
    assert first == second and there.change_ml == -back.change_ml
    assert there.smallest_change_ml == pytest.approx(back.smallest_change_ml)
    places = [np.array(sorted(le.centre_mm for le in one.lesions)) for one in (there, back)]
    np.testing.assert_allclose(*places, atol=0.02)


def test_a_change_below_the_smallest_is_called_unchanged(monkeypatch):
    alike = {"stays": LESIONS["stays"], "grows": ((-20.0, 15.0, 10.0), 6.0, 6.0)}
    found = compare(visit(0, lesions=alike), visit(1, lesions=alike)).comparison
    assert {lesion.kind for lesion in found.lesions} == {STABLE} and found.verdict == "unchanged"
    assert all(abs(lesion.change_ml) < lesion.smallest_change_ml for lesion in found.lesions)
    monkeypatch.setattr(stability, "pairs", lambda: ())
    unknown = compare(visit(0), visit(1)).comparison
    assert unknown.verdict == "unknown" and "Nobody has measured" in unknown.stability
    assert np.isnan(unknown.smallest_change_ml) and unknown.kinds[NEW].lesions == 1


def test_a_lesion_where_the_other_visit_has_no_brain_is_not_called_new():
    later = visit(1)
    earlier = visit(0)
    middle = earlier.flair.space.shape[0] // 2
    cut = earlier.brain.array.copy()
    cut[middle + 8 :, :, : earlier.flair.space.shape[2] // 2 + 6] = False
    found = compare(replace(earlier, brain=Mask(cut, earlier.brain.space)), later).comparison
    assert found.kinds[NOT_COVERED].lesions == 1 and found.kinds[NEW].lesions == 0


def test_what_cannot_be_compared_is_refused():
    earlier, later = visit(0), visit(1)
    other = replace(later, summary=replace(later.summary, recipe="another"))
    with pytest.raises(InputError, match="the recipe of visit-0 and visit-1 is measured and another"):
        check(earlier, other)
    given = replace(later, summary=replace(later.summary, threshold=Threshold(0.5, "given", "user")))
    with pytest.raises(InputError, match=r"rule of the threshold of .* is given 1 and given 0\.5"):
        check(earlier, given)
    finer = replace(later, summary=replace(later.summary, parameters=Parameters({"sigma": 2}, components={})))
    with pytest.raises(InputError, match="parameters of the method of"):
        check(earlier, finer)
    with pytest.raises(InputError, match="of sub-1 and sub-2"):
        check(replace(earlier, patient="sub-1"), replace(later, patient="sub-2"))
    no_side = replace(later, flair=Volume(later.flair.array, later.flair.space.without_sides()))
    with pytest.raises(InputError, match="no orientation"):
        check(earlier, no_side)
    with pytest.raises(GridError, match="within a factor of 3"):
        check(earlier, visit(1, spacing_mm=(2.0, 2.0, 7.0)))
    nothing = replace(later, brain=Mask(np.zeros_like(later.brain.array), later.brain.space))
    with pytest.raises(BrainError, match="empty"):
        check(earlier, nothing)
    half = later.brain.array.copy()
    half[: half.shape[0] // 2 - 5] = False
    with pytest.raises(BrainError, match="overlap by a Dice of"):
        compare(earlier, replace(later, brain=Mask(half, later.brain.space)))


def test_a_threshold_that_each_scan_finds_and_a_device_may_differ():
    visits = [visit(0), visit(1)]
    for which, device in enumerate(("cpu", "cuda")):
        threshold = Threshold(0.5 + which, "quantile 0.98 of the brain", "this scan")
        made = replace(visits[which].summary, threshold=threshold, parameters=Parameters({"device": device}))
        visits[which] = replace(visits[which], summary=made)
    assert check(*visits) is False


def test_what_a_reader_should_mind_is_said():
    earlier, later = visit(0), visit(1)
    t1 = replace(earlier.summary, inputs={"flair": InputFile("a"), "t1": InputFile("b")})
    earlier = replace(earlier, name="sub-1_ses-9", summary=t1)
    later = replace(later, name="sub-1_ses-10", summary=replace(later.summary, inputs={"flair": InputFile("c")}))
    assert [" was made of flair and t1, " in note for note in compare(earlier, later).comparison.notes] == [True]
    exchanged = compare(later, earlier).comparison.notes
    assert "sub-1_ses-10 was given as the earlier visit" in exchanged[0] and len(exchanged) == 2


def test_a_visit_without_lesions():
    """All that the other has is new or resolved, and nothing is undefined."""
    none = {name: (centre, 0.0, later_mm) for name, (centre, _, later_mm) in LESIONS.items()}
    found = compare(visit(0, lesions=none), visit(1, lesions=none)).comparison
    assert {lesion.kind for lesion in found.lesions} == {NEW} and found.earlier.lesion_volume_ml == 0
    assert found.kinds[NEW].later_ml == pytest.approx(found.later.lesion_volume_ml) == pytest.approx(found.change_ml)
    empty = {name: (centre, 0.0, 0.0) for name, (centre, *_) in LESIONS.items()}
    found = compare(visit(0, lesions=empty), visit(1, lesions=empty)).comparison
    assert found.lesions == () and (found.change_ml, found.verdict) == (0.0, "unchanged")


def test_other_voxels_widen_what_is_believed_and_are_named():
    found = compare(visit(0), visit(1, spacing_mm=(2.0, 2.0, 3.0))).comparison
    assert any("voxels differ" in note for note in found.notes)
    mean = (found.earlier.lesion_volume_ml + found.later.lesion_volume_ml) / 2
    assert found.smallest_change_ml == pytest.approx(mean * 2 * 10 / 210)
    assert {lesion.kind for lesion in found.lesions} >= {NEW, RESOLVED, ENLARGING}


def test_what_is_written(tmp_path):
    compared = compare(visit(0), visit(1))
    folder = compared.save(tmp_path / "out")
    content = json.loads((folder / "comparison.json").read_text())
    assert content["verdict"] == compared.comparison.verdict and len(content["lesions"]) == 5
    assert content["kinds"]["new"]["lesions"] == 1 and content["registration"]["brain_dice"] > 0.96
    header, *lines = (folder / "lesions.tsv").read_text().splitlines()
    assert header.split("\t") == list(COLUMNS) and len(lines) == 5
    assert lines[0].split("\t")[1] == "new" and lines[0].split("\t")[11] == "n/a"
    page = (folder / "report.html").read_text()
    assert page.count('role="img"') >= 4 and "Research use only" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    names = {path.name for path in folder.iterdir()}
    assert names >= {f"{which}_{what}.nii.gz" for which in ("earlier", "later") for what in ("flair", "mask")}
    assert compared.lesions[0]["kind"] == "new" and compared.lesions[0]["change_ml"] > 0


def test_a_spread_says_nothing_where_it_is_not_known():
    assert np.isnan(Spread().smallest_of_lesion_ml(1, 2)) and np.isnan(Spread().smallest_of_all_ml(1, 2))
