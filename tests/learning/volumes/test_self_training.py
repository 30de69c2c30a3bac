"""Real scans without labels teach what a model is sure of, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from flairline.errors import InputError
from flairline.io.nifti import write_mask, write_volume
from flairline.learning.data import TrainingData
from flairline.learning.loop import Budget
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.crops import Crops
from flairline.learning.volumes.self_training import (
    CORE_ML,
    NEAR_MM,
    UNSAID,
    Teacher,
    lessons,
    perhaps_core,
    sure_places,
)
from flairline.learning.volumes.sizes import Inlets
from flairline.learning.volumes.unet_objective import SegmentLesions
from flairline.synthesis.phantom import Lesion, phantom
from flairline.synthesis.scan_store import open_scan, places_of_lesions
from flairline.types import Case

CALIBRATION = {"slope": 1.0, "offset": 0.0, "threshold": 0.5, "lesion_weights": [-2.0, 2.0, 0.0]}
BOTH = Inlets(t1=True, placed=True)
CPU = torch.device("cpu")


def test_what_is_sure_what_is_surely_not_and_the_rest():
    logits = np.full((60, 40, 30), -6.0)
    logits[10:16, 10:16, 10:16] = 5.0  # a sure lesion
    logits[16:18, 10:16, 10:16] = 0.4  # its doubtful border, in the same component
    logits[45:49, 10:14, 10:14] = 0.3  # a component that nobody is sure of
    logits[40, 30, 20] = -1.0
    brain = np.ones(logits.shape, bool)
    brain[:, :, :2] = False
    found = sure_places(logits, brain, CALIBRATION)
    assert (found[10:16, 10:16, 10:16] == 1).all() and (found == 1).sum() == 6**3
    assert (found[16:18, 10:16, 10:16] == UNSAID).all()
    assert (found[45:49, 10:14, 10:14] == UNSAID).all()
    assert found[40, 30, 20] == UNSAID
    near = int(NEAR_MM) // 2
    assert found[10 - near, 12, 12] == UNSAID, "surely not by the number, but beside a lesion"
    assert found[55, 35, 25] == 0 and found[55, 35, 0] == 0
    nothing = sure_places(np.full((8, 9, 7), -6.0), np.ones((8, 9, 7), bool), CALIBRATION)
    assert not nothing.any()


@pytest.mark.parametrize("truth_value", [0.0, 1.0])
def test_no_loss_where_nothing_is_said(truth_value):
    objective = SegmentLesions(torch.nn.Identity(), Budget(1, 1.0, validate_every=1), 1e-3)
    logits = torch.randn(1, 1, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.zeros_like(logits)
    truth[..., :2] = truth_value
    truth[:, :, 3:] = -1
    other = logits.clone()
    other[:, :, 3:] += 7
    around = torch.zeros(1, 0, 1, 1, 1)
    assert objective.loss((logits, around, truth)) == pytest.approx(float(objective.loss((other, around, truth))))
    other[:, :, :3] += 7
    assert objective.loss((logits, around, truth)) != pytest.approx(float(objective.loss((other, around, truth))))


class Brightness(torch.nn.Module):
    """In place of a network: sure of what is far brighter than normal tissue."""

    def forward(self, images, around):
        return (images[:, :1] * 4 - 4) * 4


@pytest.fixture
def case(tmp_path):
    scan, truth, _ = phantom(11, 2.0, [Lesion("tumour")])
    write_volume(tmp_path / "flair.nii.gz", scan.flair)
    write_mask(tmp_path / "brain.nii.gz", scan.brain)
    # A truth that is wrong everywhere: it must not be looked at.
    write_mask(tmp_path / "truth.nii.gz", scan.brain)
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("flair", "brain", "truth")}
    return Case("clinic", "7", **files), truth


def test_a_scan_is_taught_without_its_truth_and_crops_show_it(case, tmp_path):
    teacher = Teacher(Brightness(), BOTH, CALIBRATION, CPU, "abc")
    told = []
    run = TrainingRun(tmp_path / "model", left_out=lambda scan, why: told.append((scan, why)))
    missing = Case("clinic", "8", flair=tmp_path / "nothing.nii.gz")
    stems, sources = lessons(TrainingData([case[0], missing]), teacher, tmp_path / "real", run)
    assert [source.subject for source in sources] == ["7"] and len(stems) == 1
    assert [scan for scan, _ in told] == ["clinic/8"]
    stored = open_scan(stems[0])
    lesion = np.array(stored.truth) == 1
    assert 0 < lesion.sum() * 0.001 < 1.5 * case[1].volume_ml, "the tumour, not the brain of the truth"
    assert (np.array(stored.truth) == UNSAID).any() and not stored.t1.any()
    noted = json.loads(stems[0].with_suffix(".json").read_text())["lesion_voxels"]
    assert all(stored.truth[tuple(voxel)] == 1 for voxel in noted)
    before = stems[0].with_suffix(".image.npy").stat().st_mtime_ns
    assert lessons(TrainingData([case[0]]), teacher, tmp_path / "real", run)[0] == stems
    assert stems[0].with_suffix(".image.npy").stat().st_mtime_ns == before, "made once"

    rest = tmp_path / "synthetic"
    for suffix in (".image.npy", ".truth.npy", ".t1.npy", ".json"):
        array = stems[0].with_suffix(suffix)
        if suffix == ".truth.npy":
            np.save(rest.with_suffix(suffix), np.zeros(stored.truth.shape, bool))
        else:
            rest.with_suffix(suffix).write_bytes(array.read_bytes())
    crops = Crops([rest], 24, 3, BOTH, real=stems)
    unsaid = [bool((crops[number][2] < 0).any()) for number in range(24)]
    assert 0 < sum(unsaid) < 14
    assert not any((Crops([rest], 6, 3, BOTH)[number][2] < 0).any() for number in range(6))


def test_crops_fall_on_a_small_lesion_as_often_as_on_a_large_one():
    truth = np.zeros((40, 40, 40), bool)
    truth[2:22, 2:22, 2:22] = True
    truth[30, 30, 30] = True
    voxels = places_of_lesions(truth, np.random.default_rng(0))
    small = (voxels == 30).all(axis=1).sum()
    assert 30 < small < 70 and len(voxels) == 200
    assert truth[tuple(voxels.T)].all()
    assert len(places_of_lesions(truth & False, np.random.default_rng(0))) == 0


def test_scans_without_labels_want_a_model_that_teaches(case, tmp_path):
    from flairline.learning.volumes.label_maps import LabelMaps
    from flairline.methods import synthetic_unet

    maps = LabelMaps(tuple(tmp_path / f"{n}.nii.gz" for n in range(3)), unlabelled=TrainingData([case[0]]))
    with pytest.raises(InputError, match="Name one with --start"):
        synthetic_unet.Method(device="cpu").train(maps, TrainingRun(tmp_path / "model", "test"))


def test_what_a_large_lesion_bends_around_may_be_its_core():
    x, y, z = np.indices((90, 100, 70))
    off = np.sqrt((x - 45.0) ** 2 + (y - 50.0) ** 2 + (z - 35.0) ** 2)
    crescent = (off > 18) & (off < 24) & (y < 58)
    found = perhaps_core(crescent)
    core = (off < 15) & (y < 50)
    assert found[core].all() and found[crescent].all()
    assert not found[off > 40].any() and not found[:, 90:].any()
    mirrored = perhaps_core(crescent[::-1])[::-1]
    assert mirrored[core].all() and not mirrored[off > 40].any(), "cells of 4 mm begin elsewhere, the core does not"
    logits = np.where(crescent, 5.0, -6.0)
    told = sure_places(logits, np.ones(crescent.shape, bool), CALIBRATION)
    assert (told[core] == UNSAID).all(), "farther than 10 mm from what is sure, and yet not called healthy"
    assert told[5, 95, 5] == 0
    small = (off > 4) & (off < 6) & (y < 52)
    assert small.sum() < 1000 * CORE_ML and not perhaps_core(small).any()
