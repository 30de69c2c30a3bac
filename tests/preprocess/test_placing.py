"""Atlas coordinates of a stripped scan, in seconds, or the reason why there are none."""

from __future__ import annotations

import os

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.imaging.points import PointMap, carry_mask, carry_volume
from flairline.preprocess import placing
from flairline.preprocess.atlas import load_atlas
from flairline.types import Mask, Scan, Space, Volume


@pytest.fixture(scope="module")
def turned():
    """The atlas's brain with a FLAIR's contrast at 2 mm, turned by 12 degrees and shifted, and the map that did it."""
    atlas, angle = load_atlas("mni"), np.radians(12.0)
    to_native = np.eye(4)
    to_native[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    to_native[:3, 3] = 9.0, -14.0, 11.0
    points = PointMap("atlas", "native", to_native)
    vox_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    vox_to_ras[:3, 3] = -105.0, -135.0, -75.0
    space = Space((106, 122, 104), vox_to_ras)
    brain = carry_mask(atlas.brain, space, points.inverse())
    t1 = carry_volume(atlas.t1, space, points.inverse()).array / atlas.t1.array.max()
    flair = np.where(brain.array, np.where(t1 > 0.3, 1.3 - 0.8 * t1, 0.3), 0).astype(np.float32)
    return Scan.of("turned", Volume(flair, space), brain), to_native


def cpu_seconds() -> float:
    """Processor time of this process and of those that it started: a busy machine changes it less."""
    return sum(os.times()[:4])


def test_a_turned_brain_is_placed_within_three_millimetres_in_three_seconds(turned):
    scan, to_native = turned
    placing.coarse_mni(placing.ATLAS_MM)
    begun = cpu_seconds()
    found = placing.place_on_atlas(scan)
    assert cpu_seconds() - begun < 3.0
    assert found.atlas_to_native is not None and not found.reason
    corners = np.array([[x, y, z, 1.0] for x in (-60, 60) for y in (-90, 60) for z in (-40, 70)])
    apart_mm = np.linalg.norm((corners @ (found.atlas_to_native.ras_to_ras - to_native).T)[:, :3], axis=1)
    assert apart_mm.max() < 3.0


def test_padding_and_a_second_question_cost_no_registration_and_move_nothing(turned, monkeypatch):
    scan, _ = turned
    placing._placed.cache_clear()
    runs = []
    true = placing.register_affine
    monkeypatch.setattr(placing, "register_affine", lambda *given: runs.append(1) or true(*given))
    first = placing.place_on_atlas(scan).atlas_to_native.ras_to_ras
    room = ((3, 0), (0, 5), (7, 2))
    vox_to_ras = scan.space.vox_to_ras.copy()
    vox_to_ras[:3, 3] -= [2.0 * before for before, _ in room]
    flair, inside = (np.pad(part, room) for part in (scan.flair.array, scan.brain.array))
    space = Space(flair.shape, vox_to_ras)
    padded = Scan.of("padded", Volume(flair, space), Mask(inside, space))
    np.testing.assert_allclose(placing.place_on_atlas(padded).atlas_to_native.ras_to_ras, first, atol=1e-9)
    assert len(runs) == 1
    other = Scan.of("other", Volume(flair + inside, space), padded.brain)
    placing.place_on_atlas(other)
    assert len(runs) == 2


@pytest.mark.parametrize("orientation", ["LAS", "LPS", "oblique"])
def test_a_place_is_that_of_the_same_head_in_any_orientation(turned, orientation):
    scan, _ = turned
    first = placing.place_on_atlas(scan).atlas_to_native.ras_to_ras
    flip = np.eye(4)
    flair, inside = scan.flair.array, scan.brain.array
    for axis in {"LAS": (0,), "LPS": (0, 1), "oblique": ()}[orientation]:
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, flair.shape[axis] - 1
        flip, flair, inside = flip @ turn, np.flip(flair, axis), np.flip(inside, axis)
    vox_to_ras = scan.space.vox_to_ras @ flip
    tilt = np.eye(4)
    if orientation == "oblique":  # the header turns the head; the place turns with it
        tilt[1:3, 1:3] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    space = Space(flair.shape, tilt @ vox_to_ras)
    found = placing.place_on_atlas(Scan.of("o", Volume(np.ascontiguousarray(flair), space), Mask(inside, space)))
    corners = np.array([[x, y, z, 1.0] for x in (-60, 60) for y in (-90, 60) for z in (-40, 70)])
    apart_mm = np.linalg.norm((corners @ (found.atlas_to_native.ras_to_ras - tilt @ first).T)[:, :3], axis=1)
    assert apart_mm.max() < 2.0


def test_half_a_brain_is_not_placed_and_the_reason_said(turned):
    scan, _ = turned
    part = scan.brain.array & (np.arange(scan.space.shape[2]) < 34)
    found = placing.place_on_atlas(Scan.of("part", scan.flair, Mask(part, scan.space)))
    assert found.atlas_to_native is None
    assert found.reason.startswith("Wanted a whole brain, found")


def test_a_registration_that_fails_is_a_reason_and_no_error(turned, monkeypatch):
    def fails(*_):
        msg = "The affine registration with greedy ended with code 1: no"
        raise InputError(msg)

    placing._placed.cache_clear()
    monkeypatch.setattr(placing, "register_affine", fails)
    assert "ended with code 1" in placing.place_on_atlas(turned[0]).reason
    placing._placed.cache_clear()
    monkeypatch.setattr(placing, "register_affine", lambda *_: np.diag([3.0, 0.3, 1.0, 1.0]))
    assert "stretched 10.0 to 1" in placing.place_on_atlas(turned[0]).reason
