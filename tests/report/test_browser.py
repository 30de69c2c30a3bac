"""The pages in a real browser: headless Chromium, from files, with the network off."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flairline.io.files import write_json
from flairline.io.nifti import read_mask, read_volume
from flairline.report import build, collect, serve, templates, verdicts
from flairline.types import Mask, Scan

from ..conftest import axe_violations, missing
from .conftest import LEFT_BLOB_MM, head_scan, page_of

WIDE, NARROW = (1280, 900), (390, 844)
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def bundled() -> None:
    if templates.viewer_bundle() is None:
        missing("the viewer is not bundled: install flairline with pip, or run npm ci && npm run build")


@pytest.fixture
def visit(driver: Any) -> Iterator[Callable[..., Any]]:
    """Open a page at a size with the network off; afterwards nothing may have been said on the console."""
    driver.get_log("browser")

    def go(path: Path | str, size: tuple[int, int] = WIDE, viewer: bool = True, offline: bool = True) -> Any:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
        driver.get(path.resolve().as_uri() if isinstance(path, Path) else path)
        if viewer:
            wait(driver, "document.getElementById('viewer-box').dataset.state === 'ready'")
        return driver

    yield go
    said = driver.get_log("browser")
    assert said == []


def wait(driver: Any, condition: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not driver.execute_script(f"return {condition}"):
        if time.monotonic() > until:
            state = driver.execute_script("return document.getElementById('viewer-message')?.textContent")
            pytest.fail(f"waited {seconds} s for {condition}; the viewer says {state!r}")
        time.sleep(0.05)


@pytest.fixture
def page_path(make_page, tmp_path) -> Path:
    return build.write_scan_page(tmp_path / "sub-phantom", make_page())


def canvas_pixels(driver: Any) -> np.ndarray:
    """The viewer's canvas as (row, column, RGB), whole in the window."""
    from io import BytesIO

    from PIL import Image

    driver.execute_script(
        "document.getElementById('viewer-canvas').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    time.sleep(0.3)
    box = driver.execute_script(
        "const r = document.getElementById('viewer-canvas').getBoundingClientRect();"
        "return [r.left, r.top, r.right, r.bottom].map(Math.round)"
    )
    # Of the window, then cut: an element's own screenshot gives up after ten seconds, which a busy machine may need.
    shot = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    return np.asarray(Image.open(BytesIO(shot)).convert("RGB").crop(box)).astype(int)


def colours(driver: Any) -> dict[str, int]:
    """How many pixels of the viewer's canvas are blue (found), orange (false), not black."""
    picture = canvas_pixels(driver)
    red, _, blue = (picture[..., i] for i in range(3))
    return {
        "blue": int(((blue - red) > 40).sum()),
        "orange": int(((red - blue) > 40).sum()),
        "bright": int((picture.max(axis=2) > 40).sum()),
    }


def slide(driver: Any, slider: str, value: int) -> None:
    driver.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))",
        slider,
        value,
    )
    time.sleep(0.4)


def test_opens_from_a_file_and_shows_scan_and_mask(visit, page_path):
    driver = visit(page_path)
    seen = colours(driver)
    assert seen["bright"] > 5000
    assert seen["blue"] > 200
    assert (
        driver.execute_script(
            "return performance.getEntriesByType('resource').filter(r => !/^(data|blob|file):/.test(r.name)).length"
        )
        == 0
    )


def as_file_says(folder: Path, orientation: str) -> tuple[Scan, Mask]:
    """The small head, written with the file's axes in the given order (or oblique, axes in LPS) and read again."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", (9, -6, 14), degrees=True).as_matrix() if orientation == "oblique" else None
    scan, truth = head_scan(turn=turn)
    axes = "LPS" if orientation == "oblique" else orientation
    turned = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )  # fmt: skip
    images = {"flair": scan.flair.array, "brain": scan.brain.array, "truth": truth.array}
    for name, array in images.items():
        kind = np.float32 if name == "flair" else np.uint8
        image = nib.Nifti1Image(array.astype(kind), scan.space.vox_to_ras).as_reoriented(turned)
        nib.save(image, folder / f"{name}.nii.gz")
    flair = read_volume(folder / "flair.nii.gz")
    brain, lesions = read_mask(folder / "brain.nii.gz"), read_mask(folder / "truth.nii.gz")
    read = Scan.of(orientation, flair, Mask(brain.array, flair.space))
    return read, Mask(lesions.array, flair.space)


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_the_viewer_says_which_side_is_which(visit, tmp_path, orientation):
    """The blob on the patient's left is there by NiiVue's own coordinates, and drawn right of the picture's middle."""
    from scipy import ndimage

    left = [round(value, 1) for value in LEFT_BLOB_MM]
    page = page_of(
        *as_file_says(tmp_path, orientation), lesions=[{"volume_ml": 5.6, "centre_mm": left, "side": "left"}]
    )
    driver = visit(build.write_scan_page(tmp_path / "s", page))
    # NiiVue turns mm into a voxel of the embedded volume by its header; the score there is what the page shows.
    # The left blob comes last: the picture below is of its slice.
    for place, marked in (([-left[0], *left[1:]], False), ([left[0], -left[1], left[2]], False), (left, True)):
        driver.execute_script(
            "document.dispatchEvent(new CustomEvent('flairline:goto', {detail: arguments[0]}))", place
        )
        readout = driver.execute_script("return document.getElementById('viewer-readout').textContent")
        score = readout.split("score ")[1]
        assert (not score.startswith("below") and float(score) >= page.threshold.value) == marked, (place, readout)
        shown = [float(value) for value in readout.split("S ")[1].split(" mm")[0].split(",")]
        assert shown == pytest.approx(place, abs=1.8)  # a voxel of 2 mm, turned
    driver.execute_script("document.querySelector('[data-view=axial]').click()")
    picture = canvas_pixels(driver)
    # Blue over the bright blob; erosion takes the crosshair away.
    blob = ndimage.binary_erosion((picture[..., 2] - picture[..., 0] > 40), iterations=4)
    assert blob.sum() > 200
    rows, columns = np.nonzero(blob)
    assert columns.mean() > picture.shape[1] / 2 + 20
    assert rows.mean() < picture.shape[0] / 2  # and in front of the middle, which is up


def test_the_slider_changes_the_mask_and_back(visit, page_path):
    driver = visit(page_path)
    read = (
        "return [Number(document.getElementById('viewer-box').dataset.marked),"
        " document.getElementById('shown-volume').textContent]"
    )
    marked, words = driver.execute_script(read)
    assert "as segmented" in words
    before = colours(driver)
    slide(driver, "slider-threshold", 40)
    more, more_words = driver.execute_script(read)
    assert more > 3 * marked
    assert "at this threshold" in more_words
    assert colours(driver)["orange"] > before["orange"] + 500
    slide(driver, "slider-threshold", 255)
    assert driver.execute_script(read)[0] < marked
    driver.execute_script("document.getElementById('threshold-reset').click()")
    time.sleep(0.3)
    assert driver.execute_script(read) == [marked, words]


def test_the_mask_on_the_page_is_the_mask_on_file(visit, make_page, tmp_path):
    page = make_page()
    driver = visit(build.write_scan_page(tmp_path / "s", page))
    shown = int(driver.execute_script("return document.getElementById('viewer-box').dataset.marked"))
    assert shown == np.count_nonzero(page.mask.array)
    slide(driver, "slider-threshold", 128)  # the code at which the threshold begins: no component filter, the same mask
    shown = int(driver.execute_script("return document.getElementById('viewer-box').dataset.marked"))
    assert shown == np.count_nonzero(page.score.array >= page.threshold.value)


def test_a_click_on_a_lesion_moves_the_viewer(visit, page_path):
    driver = visit(page_path)
    for number, place in ((2, (26.0, -30.0, 14.0)), (1, (-31.0, 12.0, 8.0))):
        driver.execute_script(f"document.querySelectorAll('#lesion-table [data-goto]')[{number - 1}].click()")
        time.sleep(0.4)
        at = [
            float(v)
            for v in driver.execute_script("return document.getElementById('viewer-box').dataset.mm").split(",")
        ]
        assert at == pytest.approx(place, abs=1.01)  # half a voxel of 2 mm


def test_keys_move_the_viewer(visit, page_path):
    from selenium.webdriver.common.keys import Keys

    driver = visit(page_path)
    box = "document.getElementById('viewer-box').dataset"
    canvas = driver.find_element("id", "viewer-canvas")
    driver.execute_script("document.getElementById('viewer-canvas').focus()")
    before = [float(v) for v in driver.execute_script(f"return {box}.mm").split(",")]
    canvas.send_keys(Keys.ARROW_LEFT)
    canvas.send_keys(Keys.PAGE_UP)
    after = [float(v) for v in driver.execute_script(f"return {box}.mm").split(",")]
    assert np.subtract(after, before) == pytest.approx([2, 0, 2], abs=1.01)  # towards R is +x; snaps to voxels
    canvas.send_keys("2")
    assert driver.execute_script(f"return {box}.current") == "axial"
    marked = driver.execute_script(f"return Number({box}.marked)")
    canvas.send_keys("[")
    wait(driver, f"Number({box}.marked) > {marked}")
    canvas.send_keys("n")
    at = [float(v) for v in driver.execute_script(f"return {box}.mm").split(",")]
    assert at == pytest.approx((26.0, -30.0, 14.0), abs=1.01)


def test_a_verdict_survives_a_reload_and_comes_back_through_the_report(visit, make_page, tmp_path):
    out = tmp_path / "out"
    page = make_page(index=None)
    build.write_scan_page(out / "sub-phantom", page)
    page.summary.write(out / "sub-phantom" / "summary.json")
    driver = visit(out / "sub-phantom" / "report.html")
    driver.execute_script("document.querySelector('[data-verdict=fail]').click()")
    note = driver.find_element("css selector", "[data-note-field]")
    note.send_keys("moved <b>much</b>\t")
    pressed = "return document.querySelector('[data-verdict=fail]').getAttribute('aria-pressed')"
    driver.refresh()
    wait(driver, "document.getElementById('viewer-box').dataset.state === 'ready'")
    assert driver.execute_script(pressed) == "true"
    assert driver.find_element("css selector", "[data-note-field]").get_attribute("value") == "moved <b>much</b>"
    # What the page would save as a file:
    saved = driver.execute_async_script(
        "const done = arguments[0]; const made = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { blob.text().then(done); return made(blob); };"
        "HTMLAnchorElement.prototype.click = () => {}; document.querySelector('[data-save]').click();"
    )
    (tmp_path / "v.json").write_text(saved)
    assert verdicts.read(tmp_path / "v.json")["sub-phantom"].verdict == "fail"
    driver.execute_script("localStorage.clear()")
    cohort = collect.write_cohort(out, tmp_path / "v.json")
    driver = visit(cohort, viewer=False)
    assert driver.execute_script(pressed) == "true"
    assert driver.find_element("css selector", "tr [data-note-field]").get_attribute("value") == "moved <b>much</b>"
    driver.execute_script("localStorage.clear()")


def test_shift_and_a_letter_give_a_verdict(visit, page_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    driver = visit(page_path)
    ActionChains(driver).key_down(Keys.SHIFT).send_keys("p").key_up(Keys.SHIFT).perform()
    assert driver.execute_script("return document.querySelector('[data-scan]').dataset.verdictNow") == "pass"
    driver.execute_script("localStorage.clear()")


def test_two_tabs_of_a_served_folder_keep_each_others_verdicts(visit, driver, make_page, tmp_path):
    out = tmp_path / "out"
    for name in ("sub-1", "sub-2"):
        page = make_page(name)
        build.write_scan_page(out / name, page)
        page.summary.write(out / name / "summary.json")
    collect.write_cohort(out)
    server = serve.Server(out)
    threading.Thread(target=server.run, daemon=True).start()
    first = driver.current_window_handle
    try:
        visit(server.address, viewer=False, offline=False)
        driver.switch_to.new_window("tab")
        second = driver.current_window_handle
        visit(server.address + "sub-2/report.html", offline=False)
        driver.execute_script("document.querySelector('[data-verdict=artefact]').click()")
        wait(driver, "document.querySelector('[data-status]').textContent === 'Saved.'")
        driver.switch_to.window(first)
        driver.execute_script("document.querySelector('tr[data-subject=\"sub-1\"] [data-verdict=fail]').click()")
        wait(driver, "document.querySelector('[data-status]').textContent === 'Saved.'")
        said = verdicts.read(out / verdicts.FILE)
        assert {name: one.verdict for name, one in said.items()} == {"sub-1": "fail", "sub-2": "artefact"}
        driver.execute_script("localStorage.clear()")
        driver.refresh()
        wait(driver, "document.querySelector('tr[data-subject=\"sub-2\"]').dataset.verdictNow === 'artefact'")
        driver.execute_script("localStorage.clear()")
        driver.switch_to.window(second)
        driver.close()
    finally:
        driver.switch_to.window(first)
        driver.get("about:blank")
        server.close()


def cohort_of_thousand(out: Path, thumbnail: bytes) -> Path:
    """A folder of a thousand summaries and thumbnails, every 90th flagged."""
    rng = np.random.default_rng(11)
    for i in range(1000):
        summary = {
            "subject": f"sub-{i:04d}",
            "method": "histeq",
            "site": f"site {i % 7}",
            "lesion_volume_ml": float(rng.lognormal(1.5, 0.8)),
            "n_lesions": int(rng.integers(1, 60)),
            "brain_volume_ml": float(rng.normal(1150, 90)),
            "threshold": {"value": float(rng.normal(0.98, 0.001)), "rule": "quantile", "chosen_on": "this scan"},
            "qc": {
                "flags": ["The brain's outline touches the edge."] if i % 90 == 0 else [],
                "contrast": float(rng.normal(2, 0.2)),
            },
        }
        write_json(out / summary["subject"] / "summary.json", summary)
        (out / summary["subject"] / build.THUMBNAIL).write_bytes(thumbnail + bytes([i % 256, i // 256]))
        (out / summary["subject"] / build.SCAN_PAGE).write_text("x")
    return collect.write_cohort(out)


def test_a_cohort_of_a_thousand_is_small_and_filters_and_sorts(visit, driver, make_page, tmp_path):
    page = make_page()
    build.write_scan_page(tmp_path / "one", page)
    path = cohort_of_thousand(tmp_path / "out", (tmp_path / "one" / build.THUMBNAIL).read_bytes())
    assert path.stat().st_size <= 15_000_000
    visit(path, viewer=False)
    # Usable: the filter answers, and a sorted column is drawn.
    driver.execute_script(
        "const f = document.getElementById('filter-text'); f.value = 'site 3'; f.dispatchEvent(new Event('input'));"
        "[...document.querySelectorAll('.sort')].find(b => b.textContent.startsWith('Volume')).click()"
    )
    shown = driver.execute_script("return document.getElementById('filter-count').textContent")
    assert shown == "143 of 1000 scans"
    values = driver.execute_script(
        "const heads = [...document.querySelector('#cohort-table thead').rows[0].cells];"
        "const at = heads.findIndex(head => head.textContent.startsWith('Volume'));"
        "const rows = [...document.querySelectorAll('#cohort-table tbody tr:not([hidden])')];"
        "return rows.map(row => Number(row.cells[at].dataset.v))"
    )
    assert values == sorted(values)
    driver.execute_script(
        "document.getElementById('filter-text').value = ''; const f = document.getElementById('filter-flagged');"
        "f.checked = true; f.dispatchEvent(new Event('input'))"
    )
    assert driver.execute_script("return document.getElementById('filter-count').textContent") == "12 of 1000 scans"
    driver.execute_script(
        "const f = document.getElementById('filter-flagged'); f.checked = false; f.dispatchEvent(new Event('input'))"
    )
    rows = "return document.querySelectorAll('#cohort-table tbody tr:not([hidden])').length"
    assert driver.execute_script(rows) == 150
    driver.execute_script("document.getElementById('show-all').click()")
    assert driver.execute_script(rows) == 1000


def test_a_table_of_very_many_rows_is_laid_out_as_far_as_it_is_looked_at(visit, driver, tmp_path):
    from flairline.report.pages import CohortPage, CohortScan
    from flairline.summary import Flag, Quality, Summary

    scans = [
        CohortScan(
            Summary(
                subject=f"sub-{i:04d}{EVIL if i == 7 else ''}",
                lesion_volume_ml=float(i),
                qc=Quality(flags=(Flag(reason="look"),) if i % 100 == 0 else ()),
            ),
            href=f"sub-{i}.html",
            folder=f"sub-{i:04d}",
            site=f"site {i % 5}",
            thumbnail=b"no picture",
            **({"verdict": "artefact", "note": "ghost", "at": "2026-01-01T00:00:00Z"} if i == 3 else {}),
        )
        for i in range(2500)
    ]
    path = build.write_cohort_page(tmp_path, CohortPage("Many", scans))
    assert "data:image/webp" not in path.read_text() and "No pictures" in path.read_text()
    visit(path, viewer=False)
    laid_out = "return document.querySelectorAll('#cohort-table tbody tr').length"
    assert driver.execute_script(laid_out) == 150
    assert (
        driver.execute_script("return document.getElementById('verdict-count').textContent")
        == "1 of 2500 have a verdict"
    )
    driver.execute_script("document.getElementById('show-all').click()")
    assert driver.execute_script(laid_out) == 650
    driver.execute_script(
        "const f = document.getElementById('filter-text'); f.value = 'sub-0'; f.dispatchEvent(new Event('input'));"
        "const b = [...document.querySelectorAll('.sort')].find(b => b.textContent.startsWith('Volume'));"
        "b.click(); b.click()"
    )
    assert driver.execute_script("return document.getElementById('filter-count').textContent") == "1000 of 2500 scans"
    first = "return document.querySelector('#cohort-table tbody tr').dataset.subject"
    assert driver.execute_script(first) == "sub-0999"
    driver.execute_script("document.querySelector('#cohort-table tbody tr [data-verdict=fail]').click()")
    driver.execute_script(
        "const v = document.getElementById('filter-verdict'); v.value = 'fail'; v.dispatchEvent(new Event('input'))"
    )
    assert driver.execute_script(laid_out) == 1 and driver.execute_script(first) == "sub-0999"
    pressed = "return document.querySelector('#cohort-table tbody [data-verdict=fail]').getAttribute('aria-pressed')"
    assert driver.execute_script(pressed) == "true"
    driver.refresh()
    assert (
        driver.execute_script("return document.getElementById('verdict-count').textContent")
        == "2 of 2500 have a verdict"
    )
    driver.execute_script(
        "const f = document.getElementById('filter-text'); f.value = 'ghost'; f.dispatchEvent(new Event('input'))"
    )
    note = driver.execute_script("return document.querySelector('#cohort-table tbody [data-note-field]').value")
    assert driver.execute_script(first) == "sub-0003" and note == "ghost"
    driver.execute_script("localStorage.clear()")


def test_rows_are_driven_by_keys(visit, driver, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    for name in ("a", "b", "c"):
        write_json(tmp_path / "out" / name / "summary.json", {"subject": name, "lesion_volume_ml": 1.0})
    visit(collect.write_cohort(tmp_path / "out"), viewer=False)
    driver.execute_script("document.querySelector('#cohort-table tbody tr').focus()")
    ActionChains(driver).send_keys("j").key_down(Keys.SHIFT).send_keys("f").key_up(Keys.SHIFT).send_keys("k").perform()
    now = "return [...document.querySelectorAll('#cohort-table tbody tr')].map(r => r.dataset.verdictNow)"
    assert driver.execute_script(now) == ["", "fail", ""]
    assert driver.execute_script("return document.activeElement.dataset.subject") == "a"
    driver.execute_script("localStorage.clear()")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_is_wider_than_the_window(visit, driver, make_page, tmp_path, size):
    out = tmp_path / "out"
    page = make_page(EVIL, qc={"flags": ["A_very_long_flag_without_any_space_" * 4]})
    build.write_scan_page(out / "s", page)
    page.summary.write(out / "s" / "summary.json")
    for path, viewer in ((out / "s" / "report.html", True), (collect.write_cohort(out), False)):
        visit(path, size, viewer=viewer)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0]
        assert driver.execute_script("return document.querySelectorAll('img[src=\"x\"]').length") == 0
        assert EVIL in driver.find_element("tag name", "body").text


def test_a_printed_cohort_shows_the_verdicts_given_and_no_others(visit, driver, tmp_path):
    for name in ("a", "b"):
        write_json(tmp_path / "out" / name / "summary.json", {"subject": name, "lesion_volume_ml": 1.0})
    verdicts.write(tmp_path / "v.json", {"a": verdicts.Verdict("fail", "moved", "2026-01-01T00:00:00Z")})
    visit(collect.write_cohort(tmp_path / "out", tmp_path / "v.json"), viewer=False)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = driver.execute_script(
            "const seen = (e) => e.getClientRects().length > 0, said = (e) => e.value || e.textContent;"
            "return [...document.querySelectorAll('tbody tr')]"
            ".map(r => [...r.querySelectorAll('.say button, .say input')].filter(seen).map(said))"
        )
        assert sorted(shown) == [[], ["Fail", "moved"]]
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_print_keeps_what_the_colours_mean_and_drops_the_controls(visit, page_path):
    driver = visit(page_path)
    seen = "return [...document.querySelectorAll(arguments[0])].map(e => e.getClientRects().length > 0)"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert all(driver.execute_script(seen, "#mosaic .legend li"))
        assert not any(driver.execute_script(seen, "#mosaic .tools button, #viewer, #verdict, [data-copy]"))
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        time.sleep(0.5)
        driver.get_log("browser")  # NiiVue grumbles while its canvas has no size


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_contrast_and_focus_by_axe(visit, driver, make_page, tmp_path, axe, size):
    out = tmp_path / "out"
    from dataclasses import replace

    page = make_page()
    build.write_scan_page(out / "sub-1", replace(page, atlas=page.scan.flair))
    for i in range(1, 5):
        replace(page.summary, subject=f"sub-{i}", lesion_volume_ml=2.0**i).write(out / f"sub-{i}" / "summary.json")
    for path, viewer in ((out / "sub-1" / "report.html", True), (collect.write_cohort(out), False)):
        visit(path, size, viewer=viewer)
        violations = axe_violations(driver, axe)
        assert violations == [], json.dumps(violations, indent=1)


def test_focus_can_be_seen_and_every_control_reached(visit, driver, page_path):
    from selenium.webdriver.common.keys import Keys

    visit(page_path)
    reached, unseen = [], []
    for _ in range(24):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        element = driver.switch_to.active_element
        style = driver.execute_script(
            "const s = getComputedStyle(arguments[0]); return [s.outlineStyle, s.outlineWidth]", element
        )
        name = element.get_attribute("id") or element.get_attribute("data-view") or element.text
        reached.append(name)
        if style[0] == "none" or style[1] == "0px":
            unseen.append(name)
    assert unseen == []
    assert {"viewer-canvas", "slider-threshold", "slider-mask", "all", "axial", "Pass"} <= set(reached)
