"""Volumes in the page: the threshold is exact, places stay, the size is kept."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from flairline.report.embed import BRAIN_BIT, MASK_BIT, TRUTH_BIT, embed, score_edges
from flairline.types import Threshold

LEFT_BLOB_MM = (-31.0, 12.0, 8.0)  # as in conftest.py


def unpacked(text: str) -> bytes:
    return gzip.decompress(base64.b64decode(text))


def image_of(packed):
    image = nib.Nifti1Image.from_bytes(unpacked(packed.flair))
    bits = np.frombuffer(unpacked(packed.bits), np.uint8).reshape(image.shape, order="F")
    codes = np.frombuffer(unpacked(packed.codes), np.uint8).reshape(image.shape, order="F")
    return image, bits, codes


def test_codes_from_the_threshold_up_are_the_mask(make_page):
    page = make_page()
    packed = embed(page, 10_000_000)
    _, bits, codes = image_of(packed)
    assert packed.words == ""
    marked = np.count_nonzero(page.score.array >= page.threshold.value)
    assert np.count_nonzero(codes >= packed.threshold_code) == marked
    assert np.count_nonzero(bits & MASK_BIT) == np.count_nonzero(page.mask.array)
    assert np.count_nonzero(bits & TRUTH_BIT) == np.count_nonzero(page.truth.array)
    assert np.count_nonzero(bits & BRAIN_BIT) == np.count_nonzero(page.scan.brain.array)
    assert packed.edges[packed.threshold_code - 1] == page.threshold.value
    assert packed.voxel_ml == pytest.approx(0.008)


@pytest.mark.parametrize("limit", [10_000_000, 120_000])
def test_places_stay_in_a_cropped_and_in_a_resampled_volume(make_page, limit):
    page = make_page()
    page = replace(page, mask=replace(page.mask, array=page.truth.array))
    packed = embed(page, limit)
    assert packed.size <= limit
    assert ("resampled" in packed.words) == (limit < 1_000_000)
    image, bits, _ = image_of(packed)
    places = np.argwhere(bits & MASK_BIT)
    ras = nib.affines.apply_affine(image.affine, places)
    of_left = ras[ras[:, 0] < 0]
    step = float(max(image.header.get_zooms()))
    assert of_left.mean(axis=0) == pytest.approx(LEFT_BLOB_MM, abs=0.6 * step)
    assert ras[ras[:, 0] > 0].mean(axis=0) == pytest.approx((26, -30, 14), abs=0.6 * step)


def test_edges_hold_the_threshold_wherever_it_lies():
    score = np.linspace(0, 1, 1001)
    for value in (0.98, 0.5, 0.05, 1.0, 1.7, 0.0, -0.3):
        edges, code = score_edges(score, value)
        assert edges.size == 256
        assert edges[code] == value
        assert (np.diff(edges[1:]) >= 0).all()
        marked = np.searchsorted(edges, score, side="right") - 1 >= code
        assert (marked == (score >= value)).all()


def test_a_score_that_is_not_finite_is_not_marked(make_page):
    page = make_page()
    score = page.score.array.copy()
    score[35, 42, 31] = np.nan
    page = replace(page, score=replace(page.score, array=score), threshold=Threshold(0.5, "given", "user"))
    packed = embed(page, 10_000_000)
    _, _, codes = image_of(packed)
    assert np.count_nonzero(codes >= packed.threshold_code) == np.count_nonzero(score >= 0.5)
