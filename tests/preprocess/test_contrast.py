"""What an image looks like: phantoms in four orientations, other contrasts from phantoms' tissue, real scans."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from flairline.io.nifti import read_volume
from flairline.preprocess.brain import brain_from_background
from flairline.preprocess.contrast import contrast_of
from flairline.synthesis.anatomy import CORTEX, WHITE
from flairline.synthesis.phantom import phantom
from flairline.synthesis.template import template
from flairline.types import Mask, Space, Volume

LESIONS = {
    "healthy": (),
    "many": ("periventricular",) * 8 + ("punctate",) * 4,
    "tumours": ("tumour", "tumour", "dark"),
}
CONTRASTS = {
    "t1": (0.25, 0.68, 1.0),
    "t2": (3.0, 1.45, 1.0),
    "pd": (1.15, 1.22, 1.0),
    "adc": (3.8, 1.08, 1.0),
    "flair": (0.2, 1.18, 1.0),
}
"""Signal of fluid, grey and white matter, the last 1: orders and sizes as in textbooks at 1.5 to 3 T."""


def coloured(contrast: str, vessels: float = 0.0) -> tuple[Volume, Mask]:
    """A brain of 2 mm in a contrast: the template's tissue, a bias field, noise; `vessels` as on a T1 with agent."""
    maps = template((2, 2, 2))
    cortex_share, white_share = (maps.anatomy.shares[part] for part in (CORTEX, WHITE))
    fluid, grey, white = CONTRASTS[contrast]
    signal = fluid * (1 - cortex_share - white_share).clip(0, 1) + grey * cortex_share + white * white_share
    rng = np.random.default_rng(1)
    brain = maps.brain >= 0.5
    if vessels:
        signal[brain & (rng.random(brain.shape) < 0.01)] = vessels
    x = np.linspace(-1, 1, brain.shape[0])[:, None, None]
    image = (signal * (1 + 0.1 * x) + rng.normal(0, 0.03, brain.shape)) * 400
    space = Space(brain.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    return Volume(np.where(brain, image, 0).astype(np.float32), space), Mask(brain, space)


@pytest.mark.parametrize(
    ("orientation", "lesions"),
    [("RAS", "healthy"), ("LAS", "many"), ("LPS", "tumours"), ("oblique", "many"), ("PSR", "healthy")],
)
def test_flair_and_t1_of_a_phantom(orientation: str, lesions: str) -> None:
    scan, _, _ = phantom(3, (2, 2, 4), LESIONS[lesions], orientation, with_skull=lesions == "many")
    assert scan.t1 is not None
    right = contrast_of(scan.flair, scan.brain, scan.t1)
    assert (right.looks_like, right.t1_looks_like, right.is_exchanged) == ("flair", "t1", False)
    assert right.is_flair_possible and not right.reason
    exchanged = contrast_of(scan.t1, scan.brain, scan.flair)
    assert exchanged.is_exchanged and not exchanged.is_flair_possible
    assert "exchanged" in exchanged.reason
    alone = contrast_of(scan.t1, scan.brain)
    assert (alone.looks_like, alone.t1_looks_like, alone.is_exchanged) == ("t1", None, False)
    assert "a T1" in alone.reason


def test_scale_and_sign_do_not_matter() -> None:
    """Z-scored, 8 bit and clipped."""
    scan, _, _ = phantom(4, 2, LESIONS["many"])
    assert scan.t1 is not None
    for image, wanted in ((scan.flair, "flair"), (scan.t1, "t1")):
        values = image.array[scan.brain.array]
        for changed in (
            (image.array - values.mean()) / values.std(),
            np.rint(np.clip(image.array / np.percentile(values, 99), 0, 1) * 255),
            image.array * 1e4,
        ):
            assert contrast_of(Volume(changed.astype(np.float32), image.space), scan.brain).looks_like == wanted


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_other_contrasts_are_named(contrast: str) -> None:
    image, brain = coloured(contrast)
    verdict = contrast_of(image, brain)
    assert verdict.looks_like == contrast
    assert verdict.is_flair_possible == (contrast == "flair")
    placed = contrast_of(image, brain, mni_to_native=np.linalg.inv(_to_template()))
    assert placed.looks_like == contrast


def test_a_t1_with_contrast_agent_is_a_t1() -> None:
    assert contrast_of(*coloured("t1", vessels=2.0)).looks_like == "t1"


def test_a_ct_is_told_by_its_air() -> None:
    image, brain = coloured("flair")
    hounsfield = np.where(brain.array, image.array / 400 * 30, -1000).astype(np.float32)
    verdict = contrast_of(Volume(hounsfield, image.space), brain)
    assert verdict.looks_like == "ct"
    assert "CT" in verdict.reason


def test_a_cord_is_no_brain() -> None:
    x, y, z = np.ogrid[:60, :70, :200]
    cord = np.broadcast_to((x - 30) ** 2 + (y - 35 - 8 * np.sin(z / 40)) ** 2 < 23**2, (60, 70, 200))
    space = Space(cord.shape, np.eye(4))
    image = np.where(cord, np.random.default_rng(0).normal(100, 5, cord.shape), 0).astype(np.float32)
    verdict = contrast_of(Volume(image, space), Mask(np.ascontiguousarray(cord), space))
    assert verdict.looks_like == "none of these"
    assert "spine" in verdict.reason
    thin = np.ascontiguousarray((x - 30) ** 2 + (y - 35) ** 2 + 0 * z < 6**2)
    assert contrast_of(Volume(image, space), Mask(thin, space)).looks_like == "none of these"


def test_what_cannot_be_measured_is_not_flagged() -> None:
    space = Space((20, 22, 24), np.diag([5.0, 5.0, 5.0, 1.0]))
    brain = np.ones((20, 22, 24), np.bool_)
    flat = contrast_of(Volume(np.ones((20, 22, 24), np.float32), space), Mask(brain, space))
    assert flat.looks_like == "flair"
    assert contrast_of(Volume(np.ones((20, 22, 24), np.float32), space), Mask(~brain, space)).looks_like == (
        "none of these"
    )


def test_it_is_quick() -> None:
    scan, _, _ = phantom(0, 1)
    contrast_of(scan.flair, scan.brain)
    started = time.process_time()
    contrast_of(scan.flair, scan.brain)
    assert time.process_time() - started < 1.2, "0.3 s on an idle core"


@pytest.mark.parametrize(
    ("file", "looks_like"),
    [
        ("brats2015/pat0006/flair", "flair"),
        ("brats2018/TCIA02_135_1/flair", "flair"),
        ("brats2018/TCIA02_135_1/t1", "t1"),
        ("brats2018/2013_3_1/t1", "t1"),
        ("mslub/patient07/t2", "t2"),
        ("mslub/patient19/flair", "flair"),
        ("mslub/patient19/t1", "t1"),
        ("wmhthick/case2/flair", "flair"),
    ],
)
def test_real_stripped_scans(real_data: Path, file: str, looks_like: str) -> None:
    image = read_volume(real_data / f"{file}.nii.gz")
    given = real_data / Path(file).parent / "brain.nii.gz"
    brain = (
        Mask(read_volume(given).array > 0, image.space) if given.exists() else brain_from_background(image, str(file))
    )
    assert contrast_of(image, brain).looks_like == looks_like


def _to_template() -> np.ndarray:
    """From the points of `coloured` (mm) to the template's."""
    moved = np.eye(4)
    moved[:3, 3] = template((2, 2, 2)).anatomy.origin_mm
    return moved
