"""Where the file's header says no orientation, nothing names a side: page, table, pictures, summary, thumbnail."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html import unescape

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from flairline.drawing.mosaic import planes, thumbnail
from flairline.drawing.overlay import CONVENTION, NO_SIDES, overlay_figure
from flairline.report import build
from flairline.report.pages import LabelMap, ScanPage
from flairline.types import Lesion, Mask, Scan, Volume

from .conftest import head_scan, page_of

NAMES_A_SIDE = re.compile(r"\b(?:[Ll]eft|[Rr]ight)\b|Radiological|\bR, A, S\b|>\s*[RL]\s*<|\"R L |\bSide\b")


def shown(html: str) -> str:
    """A page without scripts, styles and the flag that says that no side is known."""
    for part in (
        r"<script.*?</script>",
        r"<style.*?</style>",
        r"<ul class=\"flags\".*?</ul>",
        r"<pre.*?</pre>",
        r"<details class=\"keys\".*?</details>",
    ):
        html = re.sub(part, "", html, flags=re.DOTALL)
    html = html.replace("what lies right of the line is marked", "")  # of the histogram
    return unescape(re.sub(r'(href|src)="data:[^"]*"|style="[^"]*"', "", html))


def of_unknown_sides(scan: Scan, truth: Mask) -> tuple[Scan, Mask]:
    space = scan.space.without_sides()
    images = {role: Volume(image.array, space) for role, image in scan.images.items()}
    return replace(scan, images=images, brain=Mask(scan.brain.array, space)), Mask(truth.array, space)


@pytest.fixture
def unknown() -> ScanPage:
    """A page of such a scan, whose lesions another version gave sides and lobes, with an atlas beside it."""
    scan, truth = of_unknown_sides(*head_scan())
    page = page_of(scan, truth)
    lobes = LabelMap(np.ones(scan.space.shape, np.uint8), scan.space, {1: "frontal, left"})
    lesion = Lesion(5.6, 700, (-31.0, 12.0, 8.0), "left", region="periventricular")
    summary = replace(page.summary, lesions=(lesion, replace(lesion, lobe="insula, right")))
    return replace(page, summary=summary, lobes=lobes, native_to_atlas=np.eye(4), atlas=scan.flair)


def test_no_page_names_a_side_that_is_not_known(unknown):
    html = shown(build.scan_page(unknown))
    assert "Axial slices" in html and "Registration" in html and "periventricular" in html
    assert ">frontal<" in html and ">insula<" in html and "Centre x, y, z (mm)" in html
    assert not NAMES_A_SIDE.findall(html)
    assert "Centre in the atlas" not in html
    assert '"sidesKnown": false' in build.scan_page(unknown)


def test_a_page_names_a_side_that_is_known(make_page):
    html = shown(build.scan_page(make_page()))
    for words in ("R is the patient's right", ">R<", ">L<", 'aria-label="R L z', ">Side<", ">left<", "R, A, S"):
        assert words in html
    assert '"sidesKnown": true' in build.scan_page(make_page())


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)])
@pytest.mark.parametrize("flip", [1, -1])
def test_the_whole_way_of_a_file_without_orientation(tmp_path, flairline, head, order, flip):
    scan, _ = head_scan()
    array = np.transpose(scan.flair.array, order)[::flip]
    image = nib.Nifti1Image(np.ascontiguousarray(array), None)
    image.header.set_zooms((2.0, 2.0, 2.0))
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "flair.nii.gz")
    ran = flairline("segment", tmp_path / "flair.nii.gz", "--method", "brightest", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "LOOK AT flair: orientation: left and right are not known" in ran.err
    folder = tmp_path / "out" / "flair"
    assert not NAMES_A_SIDE.findall(shown((folder / build.SCAN_PAGE).read_text(encoding="utf-8")))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["lesions"] and {lesion["side"] for lesion in summary["lesions"]} == {""}
    assert not any("centre_atlas_mm" in lesion or "lobe" in lesion for lesion in summary["lesions"])


def test_pictures_bear_no_letters():
    known, truth = head_scan()
    scan, mask = of_unknown_sides(known, truth)
    assert [plane.letters for plane in planes(scan.flair, scan.brain, scan.flair)] == [("", ""), ("", ""), ("A", "P")]
    assert planes(known.flair, known.brain, known.flair)[0].letters == ("R", "L")
    score = Volume(scan.flair.array, scan.space)
    for one, words, letters in ((known, CONVENTION, 1), (scan, NO_SIDES, 0)):
        figure = overlay_figure(one, score, mask)
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert (texts.count("R") > 0) == (texts.count("L") > 0) == bool(letters)
        assert any(words in text.get_text() for text in figure.texts)
    with_letters, without = (
        np.asarray(Image.open(io.BytesIO(thumbnail(one.flair, one.brain, {})))) for one in (known, scan)
    )
    assert (with_letters[:14, :14] > 200).any() and not (without[:14, :14] > 200).any()
