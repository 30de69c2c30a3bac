"""From what was found to the page: with the atlas where the scan was registered, with the way back to the cohort."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from flairline.report import build
from flairline.report.scan_page import page_of, write_page
from flairline.segmentation import Settings, find_in
from flairline.types import Space, Volume


def test_the_page_says_what_was_found(head, tmp_path):
    scan, truth = head("sub-1")
    found = replace(find_in(scan, Settings("brightest")), truth=truth)
    page = page_of(found, index="../index.html")
    assert (page.scan, page.score, page.mask, page.truth) == (scan, found.score, found.mask, truth)
    assert (page.threshold, page.summary, page.index) == (found.threshold, found.summary, "../index.html")
    assert page.atlas is None and page.native_to_atlas is None
    write_page(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {build.SCAN_PAGE, build.THUMBNAIL}
    html = (tmp_path / build.SCAN_PAGE).read_text(encoding="utf-8")
    assert "sub-1" in html and "quantile 0.98 of the brain" in html


def test_a_registered_scan_has_the_atlas_on_its_own_grid(head):
    """The atlas lies 10 mm to the right of the scan: what it shows at x + 10 is shown at x."""
    scan, _ = head()
    shift = np.eye(4)
    shift[0, 3] = 10.0
    space = Space(scan.space.shape, shift @ scan.space.vox_to_ras, "atlas")
    atlas = SimpleNamespace(t1=Volume(scan.flair.array, space), name="other", file=None)
    to_atlas = SimpleNamespace(source="native", target="atlas", ras_to_ras=shift)
    prepared = SimpleNamespace(atlas=atlas, atlas_to_native=SimpleNamespace(inverse=lambda: to_atlas))
    found = replace(find_in(scan, Settings("brightest")), prepared=prepared)
    page = page_of(found)
    np.testing.assert_allclose(page.native_to_atlas, shift, atol=1e-9)
    inside = scan.brain.array
    np.testing.assert_allclose(page.atlas.array[inside], scan.flair.array[inside], rtol=1e-3, atol=0.5)
