"""A small head to make pages from: an ellipsoid brain with bright blobs, unequal sides, unequal in left and right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from flairline.report.pages import ScanPage
from flairline.summary import Summary
from flairline.types import Mask, Scan, Space, Threshold, Volume

SHAPE = (70, 84, 63)
LEFT_BLOB_MM = (-31.0, 12.0, 8.0)
"""Centre of the large blob: on the patient's left."""


def head_scan(
    subject: str = "sub-phantom", spacing_mm: float = 2.0, turn: np.ndarray | None = None
) -> tuple[Scan, Mask]:
    """A scan and its truth: one large blob on the patient's left, one small blob on the right.

    `turn` (3, 3) turns the grid, not the head.
    """
    vox_to_ras = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    if turn is not None:
        vox_to_ras[:3, :3] = turn * spacing_mm
    vox_to_ras[:3, 3] = -vox_to_ras[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    space = Space(SHAPE, vox_to_ras)
    i, j, k = np.indices(SHAPE)
    ras = np.einsum("ab,bxyz->axyz", vox_to_ras[:3, :3], np.stack([i, j, k])) + vox_to_ras[:3, 3].reshape(3, 1, 1, 1)
    brain = (ras[0] / 60) ** 2 + (ras[1] / 74) ** 2 + (ras[2] / 54) ** 2 <= 1
    rng = np.random.default_rng(5)
    flair = np.where(brain, 100 + 12 * np.sin(ras[0] / 7) * np.cos(ras[1] / 9) * np.cos(ras[2] / 8), 0)
    large = np.linalg.norm(ras - np.reshape(LEFT_BLOB_MM, (3, 1, 1, 1)), axis=0) <= 11
    small = np.linalg.norm(ras - np.reshape((26.0, -30.0, 14.0), (3, 1, 1, 1)), axis=0) <= 6
    truth = large | small
    flair = flair + 60 * truth + rng.normal(0, 4, SHAPE) * brain
    return Scan.of(subject, Volume(flair.astype(np.float32), space), Mask(brain, space)), Mask(truth, space)


def scan_page(subject: str = "sub-phantom", with_truth: bool = True, **summary: object) -> ScanPage:
    """A page of `head_scan`: one blob found, a false region at the front, a shifted edge."""
    return page_of(*head_scan(subject), with_truth=with_truth, **summary)


def page_of(scan: Scan, truth: Mask, with_truth: bool = True, **summary: object) -> ScanPage:
    """As `scan_page`, of any scan that has `SHAPE`."""
    subject = scan.subject
    inside = scan.brain.array
    order = scan.flair.array[inside].argsort().argsort()
    score = np.zeros(scan.space.shape, dtype=np.float32)
    score[inside] = (order + 1) / order.size
    mask = score >= 0.985
    centre = list(LEFT_BLOB_MM)
    base = {
        "subject": subject,
        "method": "histeq",
        "recipe": "default",
        "threshold": {"value": 0.985, "rule": "quantile 0.985 of the brain", "chosen_on": "this scan"},
        "note": "a fixed share of every brain, not a measurement",
        "lesion_volume_ml": float(mask.sum() * 0.008),
        "n_lesions": 2,
        "lesions": [
            {"volume_ml": 5.6, "centre_mm": centre, "side": "left"},
            {"volume_ml": 0.9, "centre_mm": [26.0, -30.0, 14.0], "side": "right"},
        ],
        "brain_volume_ml": scan.brain.volume_ml,
        "qc": {"flags": ["The FLAIR's slices are thicker than 5 mm."]},
        "seconds": 1.25,
        "versions": {"flairline": "0.1.0", "numpy": "2.4"},
        "inputs": {"flair": {"path": "data/flair.nii.gz", "sha256": "ab" * 32}},
        "parameters": {"components": {"min_voxels": 20, "connectivity": 26}},
    }
    threshold = Threshold(0.985, "quantile 0.985 of the brain", "this scan")
    return ScanPage(
        scan,
        Volume(score, scan.space),
        Mask(mask, scan.space),
        threshold,
        Summary.from_json({**base, **summary}),
        truth if with_truth else None,
    )


@pytest.fixture
def make_page() -> Callable[..., ScanPage]:
    return scan_page


@pytest.fixture(scope="session")
def head() -> Callable[..., tuple[Scan, Mask]]:
    return head_scan
