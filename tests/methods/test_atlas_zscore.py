"""Voxel-wise statistics of registered scans: numbers as numpy's, places kept, lesions never in."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import stats

from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import InputError, ModelError
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask
from flairline.io.nifti import read_volume
from flairline.learning.atlas import fit_atlas as fit
from flairline.learning.atlas import placing
from flairline.learning.atlas.moments import Maps, Sums
from flairline.learning.atlas.placing import Frame, place
from flairline.learning.data import TrainingData
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.methods.atlas_zscore import Method
from flairline.preprocess import placing as native_placing
from flairline.types import Case, Mask, Scan, Space, Volume

pytest.importorskip("safetensors")

SPACING_MM = (2.5, 2.0, 6.0)
SHAPE = (31, 37, 13)
BLOB = (slice(6, 9), slice(15, 19), slice(5, 8))
"""On the patient's left (low x), towards the back, below the middle: no axis can be turned or swapped unseen."""
IN_PLACE = Method(register=False)


def brain_of(shape=SHAPE):
    middle = (np.array(shape) - 1) / 2
    away = [(axis - m) / (side / 2 - 1.5) for axis, m, side in zip(np.indices(shape), middle, shape, strict=True)]
    return sum(axis**2 for axis in away) <= 1


def healthy_flair(seed):
    """The same anatomy for all, a grey ramp, and noise of its own."""
    x, y, z = np.indices(SHAPE)
    ramp = 60 + 0.8 * x + 0.5 * y + 1.5 * z
    return np.where(brain_of(), ramp + np.random.default_rng(seed).normal(0, 2, SHAPE), 0).astype(np.float32)


@pytest.fixture
def cases(save, tmp_path):
    """Seven people on one grid; a lesion in the truth of number 1 on slices 5 to 7, where its FLAIR is bright."""
    rows = []
    for number in range(7):
        flair, truth = healthy_flair(number), np.zeros(SHAPE, np.uint8)
        if number == 1:
            truth[BLOB], flair[BLOB] = 1, 200
        images = {"flair": flair, "brain": brain_of().astype(np.uint8), "truth": truth}
        files = {
            name: save(tmp_path / f"{number}" / f"{name}.nii.gz", array, spacing_mm=SPACING_MM)
            for name, array in images.items()
        }
        rows.append(Case("set", f"s{number}", **files))
    return rows


def as_seen(case):
    """A scan's intensities, computed here."""
    flair, brain = read_volume(case.flair).array, brain_of()
    low, high = np.quantile(flair[brain], (0.002, 0.998))
    return np.clip((flair - low) / (high - low), 0, 1)


@pytest.fixture
def model(cases, tmp_path):
    IN_PLACE.train(TrainingData(cases, True, licences=("CC0",)), TrainingRun(tmp_path / "model"))
    return tmp_path / "model"


def test_mean_and_deviation_are_numpys(cases, model):
    training, _ = TrainingData(cases, lesion_free_slices=True).split()
    seen = np.stack([as_seen(case) for case in training.cases])
    known = np.repeat(brain_of()[None], len(seen), axis=0)
    known[1][:, :, 5:8] = False
    maps = ModelFolder(model).arrays()
    np.testing.assert_array_equal(maps["count"], known.sum(axis=0))
    inside = brain_of()
    values = np.where(known, seen, np.nan)[:, inside]
    np.testing.assert_allclose(maps["mean"][inside], np.nanmean(values, axis=0), atol=1e-6)
    np.testing.assert_allclose(maps["std"][inside], np.nanstd(values, axis=0, ddof=1), atol=1e-6)
    assert (maps["mean"][~inside] == 0).all() and (maps["count"][~inside] == 0).all()


def test_slices_with_lesions_do_not_count(cases, model):
    """One scan less on three slices, and its bright block nowhere in the mean."""
    maps, config, inside = ModelFolder(model).arrays(), ModelFolder(model).config_of("atlas_zscore"), brain_of()
    trained = len(config["training"]["scans"])
    by_slice = [np.unique(maps["count"][:, :, z][inside[:, :, z]]).tolist() for z in range(SHAPE[2])]
    assert all(found == [trained - (5 <= z <= 7)] for z, found in enumerate(by_slice) if found)
    ramp = as_seen(cases[0])[BLOB].mean()
    assert maps["mean"][BLOB].mean() == pytest.approx(ramp, abs=0.03)
    assert config["training"]["lesion_free_slices"] and "not healthy people" in (model / "model_card.md").read_text()


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_a_bright_block_scores_at_its_place_from_every_orientation(cases, model, save, tmp_path, orientation):
    flair = healthy_flair(50)
    flair[BLOB] += 30
    path = save(tmp_path / "ill.nii.gz", flair, orientation, spacing_mm=SPACING_MM)
    read = read_volume(path)
    scorer = IN_PLACE.load(model)
    if orientation == "oblique":  # turned in the scanner: its coordinates are others, so it is laid by a known map
        plain = read_volume(cases[0].flair).space.vox_to_ras
        scan = Scan.of("ill", read, Mask(brain_of(), read.space))
        to_scan = PointMap("atlas", "flair", read.space.vox_to_ras @ np.linalg.inv(plain))
        score = np.maximum(scorer.z_placed(scan, placing.Placed(to_scan)).array, 0)
    else:
        score = scorer(Scan.of("ill", read, Mask(brain_of(), read.space))).array
    block = np.zeros(SHAPE, np.bool_)
    block[BLOB] = True
    found = score > np.quantile(score[brain_of() & ~block], 0.999)
    np.testing.assert_allclose(np.argwhere(found & block).mean(axis=0), np.argwhere(block).mean(axis=0), atol=0.3)
    assert np.median(score[block]) > 4 * np.quantile(score[brain_of() & ~block], 0.9)
    mirrored = block[::-1]
    assert np.median(score[mirrored]) < 2


def test_a_finer_scan_keeps_its_resolution(model):
    """A single bright voxel of a scan three times as fine stays a single voxel."""
    frame = Frame.of(ModelFolder(model).config_of("atlas_zscore"))
    finer = frame.space.vox_to_ras @ np.diag([1 / 3, 1 / 3, 1 / 3, 1.0])
    space = Space(tuple(3 * side for side in SHAPE), finer)
    brain = brain_of().repeat(3, 0).repeat(3, 1).repeat(3, 2)
    flair = healthy_flair(50).repeat(3, 0).repeat(3, 1).repeat(3, 2)
    flair[40, 50, 20] += 40
    score = IN_PLACE.load(model)(Scan.of("fine", Volume(flair, space), Mask(brain, space))).array
    assert score.shape == space.shape and np.unravel_index(score.argmax(), score.shape) == (40, 50, 20)
    around = score[39:42, 49:52, 19:22].copy()
    around[1, 1, 1] = 0
    assert score[40, 50, 20] > 5 and around.max() < 0.7 * score[40, 50, 20]


def test_healthy_people_it_has_not_seen_score_about_standard(cases, tmp_path):
    """z of someone new against n people is Student's t with n - 1 degrees of freedom, times sqrt(1 + 1/n)."""
    IN_PLACE.train(TrainingData([cases[0], *cases[2:]]), TrainingRun(tmp_path / "model"))  # nobody with a lesion
    n = len(ModelFolder(tmp_path / "model").config_of("atlas_zscore")["training"]["scans"])
    scorer, space = IN_PLACE.load(tmp_path / "model"), read_volume(cases[0].flair).space
    people = [Scan.of("new", Volume(healthy_flair(90 + i), space), Mask(brain_of(), space)) for i in range(8)]
    z = np.stack([scorer.z(scan).array[brain_of()] for scan in people])
    assert abs(np.median(z)) < 0.15
    assert n == 5 and np.median(np.abs(z)) == pytest.approx(stats.t.ppf(0.75, n - 1) * np.sqrt(1 + 1 / n), rel=0.1)


def test_where_scans_agree_by_chance_the_deviation_has_a_floor():
    std = np.array([0.0, 0.01, 0.3, 0.2], np.float32).reshape(4, 1, 1)
    maps = Maps(np.array([5, 5, 5, 2], np.float32).reshape(4, 1, 1), np.zeros_like(std), std)
    pooled = np.sqrt((4 * (0.01**2 + 0.3**2) + 0.2**2) / 13)
    assert maps.pooled_std == pytest.approx(pooled, rel=1e-6)
    np.testing.assert_allclose(maps.steady_std(4, 0.25).ravel(), [0.25 * pooled, 0.25 * pooled, 0.3, pooled], rtol=1e-6)


def test_sums_over_scans_with_gaps_are_exact():
    rng = np.random.default_rng(0)
    values = (rng.normal(1000, 0.01, (6, 3, 4, 5))).astype(np.float32)  # a naive sum of squares loses this spread
    inside = rng.random(values.shape) < 0.8
    sums = Sums((3, 4, 5))
    for one, where in zip(values, inside, strict=True):
        sums.add(one, where)
    maps, known = sums.maps(), np.where(inside, values.astype(np.float64), np.nan)
    several = inside.sum(axis=0) > 1
    np.testing.assert_array_equal(maps.count, inside.sum(axis=0))
    expected = np.nanstd(known[:, several], axis=0, ddof=1)
    np.testing.assert_allclose(maps.std[several], expected, rtol=1e-5)


def test_what_nobody_had_scores_zero_and_the_absolute_sign_sees_the_dark(model, cases):
    space = read_volume(cases[0].flair).space
    brain = brain_of()
    brain[0, 0, 0] = True  # outside all brains that were seen
    flair = healthy_flair(7)
    flair[BLOB] -= 40
    flair[0, 0, 0] = 500
    scan = Scan.of("dark", Volume(flair, space), Mask(brain, space))
    positive = IN_PLACE.load(model)(scan).array
    absolute = replace(IN_PLACE, sign="absolute").load(model)(scan).array
    assert positive[0, 0, 0] == absolute[0, 0, 0] == 0
    assert positive[BLOB].max() == 0 and absolute[BLOB].min() > 1 and np.median(absolute[BLOB]) > 3


def test_a_scan_that_lies_elsewhere_is_left_out_by_name(cases, tmp_path):
    for name in ("flair", "brain", "truth"):
        image = nib.load(getattr(cases[2], name))
        affine = image.affine.copy()
        affine[0, 3] += 60
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "2" / f"{name}.nii.gz")
    IN_PLACE.train(TrainingData(cases, lesion_free_slices=True), TrainingRun(tmp_path / "model"))
    training = ModelFolder(tmp_path / "model").config_of("atlas_zscore")["training"]
    assert [one["subject"] for one in training["left_out"]] == ["s2"]
    assert "s2" not in [one["subject"] for one in training["scans"]]
    assert "s2" in (tmp_path / "model" / "model_card.md").read_text()


def test_two_patients_are_too_few(cases, tmp_path):
    with pytest.raises(InputError, match=r"two scans to train on.*Give more"):
        IN_PLACE.train(TrainingData(cases[2:4]), TrainingRun(tmp_path / "model"))
    assert not (tmp_path / "model" / "config.json").exists()


def test_after_the_time_no_scan_is_read_and_the_model_says_which(cases, tmp_path):
    IN_PLACE.train(TrainingData(cases, lesion_free_slices=True), TrainingRun(tmp_path / "model", max_minutes=0))
    training = ModelFolder(tmp_path / "model").config_of("atlas_zscore")["training"]
    assert [one["subject"] for one in training["scans"]] == ["s0", "s1"]
    assert [one["subject"] for one in training["left_out"]] == ["s2", "s3", "s4", "s5"]
    assert len(training["validation_scans"]) == 1 and {one["reason"] for one in training["left_out"]} == {fit.LATE}


def test_maps_of_another_grid_get_one_clear_line(model):
    config = json.loads((model / "config.json").read_text())
    maps = {name: array[1:] for name, array in ModelFolder(model).arrays().items()}
    ModelFolder(model).write("atlas_zscore", {"weights": maps}, config, "")
    with pytest.raises(ModelError, match="does not hold the maps"):
        IN_PLACE.load(model)


@pytest.fixture(scope="module")
def oblique_phantom(tmp_path_factory):
    """A healthy head in an oblique file, and the grid of a coarse model."""
    case = Phantoms(tmp_path_factory.mktemp("phantom"), spacing_mm=4.0, orientation="oblique").healthy(1)[0]
    return next(iter(TrainingData([case]))).scan, placing.mni_frame(4.0, 6.0)


def test_when_registration_fails_the_boxes_decide_and_it_is_said(monkeypatch, oblique_phantom):
    def fails(*_):
        msg = "greedy ended"
        raise InputError(msg)

    native_placing._placed.cache_clear()
    monkeypatch.setattr("flairline.preprocess.placing.register_affine", fails)
    scan, frame = oblique_phantom
    placed, brain = place(scan, frame), placing.coarse_mni(3.0).brain
    assert "greedy ended" in placed.trouble
    assert dice(carry_mask(scan.brain, brain.space, placed.to_scan).array, brain.array) > 0.85


def test_a_registered_phantom_comes_to_its_place_with_left_on_the_left(oblique_phantom):
    """The way brings the brain onto the atlas's, not onto its mirror image."""
    scan, frame = oblique_phantom
    placed, atlas_brain = place(scan, frame), placing.coarse_mni(3.0).brain
    assert not placed.trouble
    carried = carry_mask(scan.brain, atlas_brain.space, placed.to_scan)
    assert dice(carried.array, atlas_brain.array) > 0.93
    middle = scan.space.vox_to_ras @ [*np.argwhere(scan.brain.array).mean(axis=0), 1.0]
    axis = scan.space.vox_to_ras[:3, 0] / np.linalg.norm(scan.space.vox_to_ras[:3, 0])
    to_atlas = placed.to_scan.inverse().ras_to_ras
    left, right = (to_atlas @ (middle + np.array([*(side * axis), 0.0])) for side in (-50, 50))
    assert left[0] < -35 and right[0] > 35
