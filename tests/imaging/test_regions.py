"""Lesions whose region is known: blocks by hand, and phantoms whose tissue is known exactly."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS, vox_to_ras_of

from flairline.imaging import regions
from flairline.imaging.components import label_components
from flairline.imaging.regions import ATLAS_TISSUE, OWN_TISSUE, Anatomy, Reach, regions_of
from flairline.preprocess.atlas import mni_file
from flairline.synthesis.evaluate import anatomy_mm
from flairline.synthesis.phantom import Lesion, draw, phantom
from flairline.synthesis.render_numpy import NumpyArrays
from flairline.types import Mask, Scan, Space, Volume

SHAPE = (40, 36, 32)
SPACING_MM = (1.0, 1.5, 2.0)


@pytest.fixture
def anatomy() -> Anatomy:
    """A ventricle on the left, cortex on the right, nuclei in front, the cerebellum below, white matter between."""
    parts = np.zeros(SHAPE, np.uint8)
    parts[:6] = Anatomy.VENTRICLE
    parts[34:] = Anatomy.CORTEX
    parts[:, 30:] = Anatomy.DEEP_GREY
    parts[:, :, :6] = Anatomy.INFRATENTORIAL
    return Anatomy(parts)


def lesion(*corner: int, sides: tuple[int, int, int] = (3, 3, 3)) -> tuple[slice, ...]:
    """A block of voxels."""
    return tuple(slice(first, first + side) for first, side in zip(corner, sides, strict=True))


@pytest.mark.parametrize(
    ("block", "region"),
    [
        (lesion(18, 10, 15), "deep white matter"),
        (lesion(6, 10, 15), "periventricular"),  # shares a face
        (lesion(8, 10, 15), "periventricular"),  # 3 mm away: inclusive
        (lesion(9, 10, 15), "deep white matter"),  # 4 mm away
        (lesion(31, 10, 15), "juxtacortical"),
        (lesion(29, 10, 15), "juxtacortical"),  # 3 mm away
        (lesion(28, 10, 15), "deep white matter"),  # 4 mm away
        (lesion(35, 10, 15), "grey matter"),
        (lesion(18, 31, 15), "grey matter"),
        (lesion(18, 26, 15), "deep white matter"),  # beside a nucleus, which is no cortex
        (lesion(18, 10, 2), "infratentorial"),
        (lesion(18, 10, 5, sides=(2, 2, 2)), "infratentorial"),  # half of it
        (lesion(18, 10, 5), "deep white matter"),  # a third of it
        (lesion(6, 10, 15, sides=(28, 3, 3)), "periventricular"),  # reaches both
    ],
)
def test_the_rule_by_distance(anatomy: Anatomy, block: tuple[slice, ...], region: str) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[block] = 1
    assert regions_of(labels, anatomy, SPACING_MM) == [region]


def test_a_thick_slice_that_is_next_to_the_wall_touches_it(anatomy: Anatomy) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[lesion(6, 10, 15)] = 1
    assert regions_of(labels, anatomy, (6.0, 1.0, 1.0), Reach(2.0, 2.0)) == ["periventricular"]


def test_each_number_has_its_word_and_one_without_voxels_an_empty_one(anatomy: Anatomy) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[lesion(6, 10, 15)], labels[lesion(18, 10, 15)] = 3, 1
    assert regions_of(labels, anatomy, SPACING_MM) == ["deep white matter", "", "periventricular"]
    assert regions_of(np.zeros(SHAPE, np.int32), anatomy, SPACING_MM) == []


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_parts_are_carried_to_their_places(orientation: str) -> None:
    parts = np.zeros((20, 22, 24), np.uint8)
    parts[12:16, 4:10, 6:12] = Anatomy.VENTRICLE
    source = Space(parts.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    onto = Space((31, 27, 29), vox_to_ras_of(orientation))
    moved = np.eye(4)
    moved[:3, 3] = onto.vox_to_ras[:3, :3] @ [15, 13, 14] + onto.vox_to_ras[:3, 3] - [27, 13, 17]
    carried = Anatomy(parts).carried(source, onto, moved).parts == Anatomy.VENTRICLE
    middle_mm = onto.vox_to_ras[:3, :3] @ np.argwhere(carried).mean(axis=0) + onto.vox_to_ras[:3, 3]
    wanted_mm = np.array([27, 13, 17]) + moved[:3, 3]
    assert np.abs(middle_mm - wanted_mm).max() < 1.1, "half a voxel of the coarser grid"
    assert np.count_nonzero(carried) * onto.voxel_ml == pytest.approx(4 * 6 * 6 * 8 / 1000, rel=0.1)


def test_wide_ventricles_are_seen_in_the_flair(anatomy: Anatomy) -> None:
    space = Space(SHAPE, np.diag([*SPACING_MM, 1.0]))
    flair = np.random.default_rng(0).normal(100, 5, SHAPE).astype(np.float32)
    flair[:10] = 10  # four voxels wider than the atlas says
    flair[25:28, 10:13, 15:18] = 10  # a hole that has nothing to do with it
    brain = Mask(np.ones(SHAPE, np.bool_), space)
    seen = anatomy.with_ventricles_of(Volume(flair, space), brain).parts
    above = (slice(None), slice(None), slice(7, None))
    assert (seen[above][:10] == Anatomy.VENTRICLE).all()
    assert not (seen[10:] == Anatomy.VENTRICLE).any()
    bright = anatomy.with_ventricles_of(Volume(np.where(flair < 50, 300, flair).astype(np.float32), space), brain)
    assert np.array_equal(bright.parts, anatomy.parts)


# Places in the template's mm; the radius is small, so that the region is that of the place.
KNOWN = (
    (Lesion("periventricular", (24, -48, 22), 5.0), "periventricular"),
    (Lesion("periventricular", (-20, 26, 14), 5.0), "periventricular"),
    (Lesion("punctate", (-27, -8, 32), 3.0), "deep white matter"),
    (Lesion("punctate", (24, 20, 22), 3.0), "deep white matter"),
    (Lesion("punctate", (26, 44, 12), 4.5), "juxtacortical"),
    (Lesion("punctate", (2, -28, -34), 4.0), "infratentorial"),
    (Lesion("punctate", (-22, -60, -40), 4.0), "infratentorial"),
    (Lesion("punctate", (12, -18, 6), 4.0), "grey matter"),
)


def to_template_mm(seed: int, scan: Scan) -> np.ndarray:
    """The template's mm (3, n) of each voxel of a phantom, by the deformation that it was made with."""
    x, y, z = (round(side) for side in scan.spacing_mm)
    plan, _ = draw(seed, (x, y, z), [])
    points_mm = [anatomy_mm(NumpyArrays(), plan.deformation, plan.axes_mm, axis) for axis in range(3)]
    return np.stack(points_mm).reshape(3, -1)


def best_affine(seed: int, scan: Scan) -> np.ndarray:
    """From the template's mm to the scan's, by least squares over the brain: what a registration finds at best."""
    brain = scan.brain.array.ravel()
    mm = to_template_mm(seed, scan)[:, brain].T.astype(float)
    voxels = np.argwhere(scan.brain.array)
    points_mm = voxels @ scan.space.vox_to_ras[:3, :3].T + scan.space.vox_to_ras[:3, 3]
    found = np.linalg.lstsq(np.column_stack([mm, np.ones(len(mm))]), points_mm, rcond=None)[0]
    return np.vstack([found.T, [0, 0, 0, 1]])


def exact_anatomy(seed: int, scan: Scan) -> Anatomy:
    """The phantom's own tissue: the atlas's parts at each voxel's place in the template."""
    atlas, space = regions.mni_anatomy(mni_file())
    to_voxels = np.linalg.inv(space.vox_to_ras)
    voxels = np.rint(to_voxels[:3, :3] @ to_template_mm(seed, scan) + to_voxels[:3, 3:]).astype(int)
    inside = ((voxels >= 0) & (voxels < np.array(space.shape)[:, None])).all(axis=0)
    parts = np.zeros(voxels.shape[1], np.uint8)
    parts[inside] = atlas.parts[tuple(voxels[:, inside])]
    return Anatomy(parts.reshape(scan.space.shape))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_phantoms_whose_lesions_are_known(orientation: str) -> None:
    seed = 5
    scan, truth, kinds = phantom(seed, (1, 2, 2), [lesion for lesion, _ in KNOWN], orientation)
    found = regions_of(kinds.labels, exact_anatomy(seed, scan), scan.spacing_mm, OWN_TISSUE)
    assert found == [region for _, region in KNOWN]
    assert len(found) == label_components(truth.array)[1].size - 1, "no two lesions may touch"


def test_by_an_affine_map_most_regions_are_the_same() -> None:
    """The phantom's deformation, of up to a centimetre, is known to the first and not to the second."""
    agree = []
    for seed, orientation in enumerate(ORIENTATIONS):
        lesions = ["periventricular"] * 6 + ["punctate"] * 6
        scan, _, kinds = phantom(seed, (2, 2, 3), [*lesions, KNOWN[5][0], KNOWN[6][0]], orientation)
        exact = regions_of(kinds.labels, exact_anatomy(seed, scan), scan.spacing_mm, OWN_TISSUE)
        anatomy = regions.scan_anatomy(scan.flair, scan.brain, best_affine(seed, scan), mni_file())
        rough = regions_of(kinds.labels, anatomy, scan.spacing_mm, ATLAS_TISSUE)
        agree += [region == again for region, again in zip(exact, rough, strict=True)]
    assert np.mean(agree) >= 0.75, "0.82 over six phantoms"


def test_a_scan_of_1_mm_is_quick() -> None:
    scan, _, kinds = phantom(0, 1, ["periventricular"] * 8 + ["punctate"] * 8)
    regions.mni_anatomy(mni_file())
    started = time.process_time()
    anatomy = regions.scan_anatomy(scan.flair, scan.brain, np.eye(4), mni_file())
    regions_of(kinds.labels, anatomy, scan.spacing_mm)
    assert time.process_time() - started < 1.5, "0.4 s on an idle core"


def test_the_atlas_has_its_parts_where_they_belong() -> None:
    anatomy, space = regions.mni_anatomy(mni_file())

    def at(*mm: float) -> int:
        voxel = np.rint(np.linalg.inv(space.vox_to_ras) @ [*mm, 1])[:3].astype(int)
        return int(anatomy.parts[tuple(voxel)])

    for side in (-1, 1):
        assert at(side * 12, 0, 22) == Anatomy.VENTRICLE
        assert at(side * 10, -18, 6) == Anatomy.DEEP_GREY
        assert at(side * 30, -60, -35) == Anatomy.INFRATENTORIAL
        assert at(side * 26, -10, 36) == 0
    assert at(0, -28, -34) == Anatomy.INFRATENTORIAL
    ventricle_ml = np.count_nonzero(anatomy.parts == Anatomy.VENTRICLE) * space.voxel_ml
    assert 12 < ventricle_ml < 25
