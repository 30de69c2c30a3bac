"""From folders of results to the cohort's page, through the command line."""

from __future__ import annotations

import csv
import json
import re
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flairline.benchmarking import ablation
from flairline.benchmarking.paper import tables
from flairline.cli.main import app
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.report import build, collect, outliers, verdicts
from flairline.report.pages import CohortScan
from flairline.report.verdicts import Verdict
from flairline.summary import Quality, Summary

runner = CliRunner()


def invoke(*arguments: str | Path):
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def table(tmp_path_factory, head) -> Path:
    """A table of three small scans of two sites, and a fourth whose file is damaged."""
    folder = tmp_path_factory.mktemp("scans")
    scan, truth = head()
    rows = []
    for i in range(3):
        rng = np.random.default_rng(i)
        noise = rng.normal(0, 2 + i, scan.flair.array.shape) * scan.brain.array
        names = {"flair": scan.flair.array + noise, "brain": scan.brain.array, "truth": truth.array}
        for name, array in names.items():
            kind = np.float32 if name == "flair" else np.uint8
            nib.save(nib.Nifti1Image(array.astype(kind), scan.space.vox_to_ras), folder / f"{name}{i}.nii.gz")
        rows.append(["heads", f"sub-{i}", f"flair{i}.nii.gz", f"brain{i}.nii.gz", f"truth{i}.nii.gz", f"site {i % 2}"])
    (folder / "bad.nii.gz").write_bytes(b"no image")
    rows.append(["heads", "sub-bad", "bad.nii.gz", "brain0.nii.gz", "truth0.nii.gz", "site 1"])
    with (folder / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["dataset", "subject", "flair", "brain", "truth", "site"], *rows])
    return folder / "cases.csv"


@pytest.fixture(scope="module")
def segmented(table, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("segmented")
    result = invoke("segment", "--cases", table, "-o", out)
    assert result.exit_code == 1, result.output  # one of four failed
    assert "Page:" in result.output
    return out


@pytest.fixture(scope="module")
def judged(table, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("judged")
    arguments = ("--method", "default", "--method", "intensity", "--protocol", "native")
    result = invoke("benchmark", "--cases", table, *arguments, "-o", out)
    assert result.exit_code == 1, result.output
    return out


def test_segment_writes_a_page_for_each_scan_and_one_for_all(segmented):
    for i in range(3):
        html = (segmented / f"sub-{i}" / "report.html").read_text()
        assert "../index.html" in html
        assert len(html) < 4_000_000
    html = (segmented / "index.html").read_text()
    assert re.findall(r'data-subject="([^"]+)"', html) == ["sub-bad", "sub-0", "sub-1", "sub-2"]
    assert "Failed: " in html and 'href="sub-2/report.html"' in html
    assert html.count("data:image/webp") == 3
    assert "By site" in html


def test_without_report_there_is_none(table, tmp_path):
    result = invoke("segment", "--cases", table, "-o", tmp_path, "--no-report")
    assert result.exit_code == 1
    assert list(tmp_path.rglob("*.html")) == []
    assert (tmp_path / "sub-0" / "summary.json").exists()


def test_report_reads_verdicts_back(segmented, tmp_path):
    verdicts.write(tmp_path / "v.json", {"sub-1": Verdict("artefact", "ghosts", "2026-01-01T00:00:00Z")})
    result = invoke("report", segmented, "--verdicts", tmp_path / "v.json")
    assert result.exit_code == 0, result.output
    html = (segmented / "index.html").read_text()
    row = re.search(r'<tr [^>]*data-subject="sub-1"[^>]*>', html).group()
    assert 'data-given="artefact"' in row and 'data-note="ghosts"' in row
    assert verdicts.read(segmented / "verdicts.json")["sub-1"].verdict == "artefact"


def test_benchmark_shows_every_method_and_says_what_is_an_oracle(judged):
    html = (judged / "index.html").read_text()
    for words in ("Oracle and usable threshold", "Against the truth", "Best and worst cases", "By site", "Provenance"):
        assert words in html
    details = json.loads((judged / "report.json").read_text())
    assert [(curve["dataset"], curve["method"]) for curve in details["curves"]] == [
        ("heads", "default"),
        ("heads", "intensity"),
    ]
    assert len(details["scans"]) == 6


def test_every_scan_to_look_at_has_a_page_with_its_own_mask(judged):
    page = collect.cohort_of(judged)
    assert len(page.scans) == 6
    for row in page.scans:  # three scans a method: each is among the best or the worst three
        assert row.href is not None
        html = (judged / row.href).read_text()
        assert "../index.html" in html
        assert f'data-scan="{row.scan_id}"' in html and f'data-subject="heads/{row.subject}"' in html
        assert ("Oracle threshold" in html) == (row.method == "intensity")
        assert 'class="contour found"' in html
        dice = re.search(r"Dice with the truth</dt><dd>([.0-9]+)", html).group(1)
        wanted = row.metrics["dice_at_oracle" if row.method == "intensity" else "dice"]
        assert float(dice) == pytest.approx(wanted, abs=6e-4)
    html = (judged / "index.html").read_text()
    assert html.count('<td><a href="pages/') == 6
    assert "checks were run" not in html


def test_a_benchmark_shows_how_volumes_and_thresholds_are_spread_method_by_method(judged):
    page = collect.cohort_of(judged)
    figures = outliers.figures_of(page.scans)
    for method in ("default", "intensity"):
        assert [len(figures[f"{name}, {method}"]) for name in ("Volume (ml)", "Regions", "Threshold")] == [3, 3, 3]
    for row in page.scans:
        shown = re.search(r"<dd>([.0-9]+) <small>ml", (judged / row.href).read_text()).group(1)
        assert row.summary.lesion_volume_ml == pytest.approx(float(shown), rel=0.01)
        assert (row.summary.threshold.rule == "oracle") == (row.method == "intensity")
    html = (judged / "index.html").read_text()
    assert "Volume (ml), default" in html and "Threshold, " in html


def test_pictures_of_scans_with_a_page_show_the_scan_whatever_the_score(judged):
    shown = {}
    for row in collect.cohort_of(judged).scans:
        with Image.open(BytesIO(row.thumbnail)) as picture:
            grey = np.array(picture.convert("L"), dtype=float)
        shown.setdefault(row.subject, []).append(np.median(grey[30:-30, 30:-30]))
    for brightness in shown.values():  # a probability would be black but for the lesion
        assert min(brightness) > 40 and max(brightness) - min(brightness) < 25


def test_pages_are_made_as_asked_for(table, tmp_path):
    base = ("benchmark", "--cases", table, "--protocol", "native", "--method", "intensity", "-o", tmp_path)
    invoke(*base, "--pages", "all")
    assert len(list((tmp_path / "pages").glob("*.html"))) == 3
    invoke(*base, "--pages", "none")
    assert list((tmp_path / "pages").glob("*.html")) == []
    result = invoke(*base, "--pages", "twelve")
    assert isinstance(result.exception, InputError) and "all, some or none" in str(result.exception)


def test_a_scan_of_two_methods_is_one_scan_to_its_quality_figures():
    def scan(number: int, method: str, dice: float) -> CohortScan:
        checked = Quality(figures={"brain_ml": 1000.0 + number})
        summary = Summary(subject=f"s{number}", dataset="d", qc=checked)
        return CohortScan(summary, folder=f"d/s{number}", method=method, metrics={"dice_at_oracle": dice})

    # The poor method's Dice are no outliers of the good one's.
    good = [scan(i, "good", 0.8 + 0.01 * i) for i in range(20)]
    poor = [scan(i, "poor", 0.1 + 0.01 * i) for i in range(4)]
    figures = outliers.figures_of([*good, *poor])
    assert len(figures["Brain (ml)"]) == 20 and len(figures["Dice, oracle threshold"]) == 24
    assert outliers.outliers_of([*good, *poor]) == []
    found = outliers.outliers_of([*good, *poor, scan(30, "good", 0.1)])
    assert [(one.subject, name) for one, name in found] == [("s30", "Dice, oracle threshold")]


def test_maps_of_others_get_pages_with_or_without_a_flair(table, tmp_path, head):
    scan, _ = head()
    nib.save(nib.Nifti1Image(scan.flair.array, scan.space.vox_to_ras), tmp_path / "score.nii.gz")
    lines, folder = ["dataset,subject,score,flair,brain,truth"], table.parent
    for name, flair in (("with", folder / "flair0.nii.gz"), ("without", "")):
        files = (tmp_path / "score.nii.gz", flair, folder / "brain0.nii.gz", folder / "truth0.nii.gz")
        lines.append(",".join(["d", name, *map(str, files)]))
    (tmp_path / "maps.csv").write_text("\n".join(lines) + "\n")
    result = invoke("evaluate", tmp_path / "maps.csv", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = {row.subject: (tmp_path / "out" / row.href).read_text() for row in collect.cohort_of(tmp_path / "out").scans}
    assert "The pictures show the score" in rows["without"]
    assert "The pictures show the score" not in rows["with"] and "FLAIR intensities" in rows["with"]


def test_lesions_are_judged_by_their_own_size(judged, head):
    details = json.loads((judged / "report.json").read_text())
    _, truth = head()
    rows = details["lesions_by_size"]
    # Each of three scans has a ball of 11 mm and one of 6 mm, of .9 and 5.6 ml.
    small, large = (4 / 3 * np.pi * r**3 / 1000 for r in (6, 11))
    assert small + large == pytest.approx(truth.volume_ml, rel=0.03)
    assert {(r["method"], r["threshold"], r["low_ml"], r["high_ml"], r["lesions"]) for r in rows} == {
        (method, threshold, low, high, 3)
        for method, threshold in (("default", "oracle"), ("default", "usable"), ("intensity", "oracle"))
        for low, high in ((0.1, 1.0), (1.0, 10.0))
    }
    # With two lesions a scan, the mean share hit is the mean over both classes.
    with (judged / "rows.csv").open(newline="") as file:
        recall = {r["method"]: float(r["value"]) for r in csv.DictReader(file) if r["metric"] == "lesion_recall"
                  and r["subject"] == "cohort"}  # fmt: skip
    own = [row["hit"] / row["lesions"] for row in rows if row["threshold"] == "usable"]
    assert np.mean(own) == pytest.approx(recall["default"])
    assert "By lesion size" in (judged / "index.html").read_text()


def test_curves_are_those_of_the_rows(judged):
    details = json.loads((judged / "report.json").read_text())
    with (judged / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for curve in details["curves"]:
        found = {
            r["metric"]: float(r["value"]) for r in rows if r["subject"] == "cohort" and r["method"] == curve["method"]
        }
        best = int(np.argmax(curve["dice"]))
        assert (np.diff(curve["thresholds"]) > 0).all()
        assert (np.diff(curve["recall"]) <= 0).all()
        # The protocol chooses its threshold before the filter, so the best after it is at least as good.
        assert curve["dice"][best] >= found["dice_oracle"] - 1e-9
        at = int(np.argmin(np.abs(np.array(curve["thresholds"]) - found["threshold_oracle"])))
        assert curve["dice"][at] == pytest.approx(found["dice_oracle"], abs=0.02)
        assert (curve["usable"] is None) == (curve["method"] == "intensity")


def test_truth_volumes_are_those_of_the_truth(judged, head):
    details = json.loads((judged / "report.json").read_text())
    _, truth = head()
    assert {round(scan["truth_ml"], 3) for scan in details["scans"]} == {round(truth.volume_ml, 3)}


@pytest.mark.parametrize("name", ["sub-1", "heads/sub-1"])
def test_benchmark_leaves_out_what_failed_and_says_how_many(table, tmp_path, name):
    verdicts.write(tmp_path / "v.json", {name: Verdict("fail"), "sub-0": Verdict("artefact"), "sub-x": Verdict("fail")})
    result = invoke("benchmark", "--cases", table, "--verdicts", tmp_path / "v.json", "-o", tmp_path / "out")
    assert "Left out by verdict: 1 of 4: heads/sub-1" in result.output
    assert "also names 1 that are not judged here: sub-x." in " ".join(result.output.split())
    text = (tmp_path / "out" / "rows.csv").read_text()
    assert "sub-0" in text and "sub-1" not in text
    assert "1 scans left out by verdict" in (tmp_path / "out" / "index.html").read_text()


def test_all_failed_is_an_error(table, tmp_path):
    verdicts.write(tmp_path / "v.json", {name: Verdict("fail") for name in ("sub-0", "sub-1", "sub-2", "sub-bad")})
    result = invoke("benchmark", "--cases", table, "--verdicts", tmp_path / "v.json", "-o", tmp_path / "out")
    assert isinstance(result.exception, InputError)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"neither summaries nor rows\.csv"):
        collect.write_cohort(tmp_path)
    assert isinstance(invoke("report", tmp_path / "none").exception, InputError)


def test_a_damaged_summary_is_named_and_is_its_scans_alone(tmp_path):
    for name, content in (("sub-1", "{"), ("sub-2", '{"subject": "sub-2", "lesion_volume_ml": 2.5}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(content)
    failed, sound = collect.cohort_of(tmp_path).scans
    assert failed.subject == "sub-1" and f"Cannot read {tmp_path / 'sub-1' / 'summary.json'}" in failed.error
    assert (sound.error, sound.summary.lesion_volume_ml) == ("", 2.5)
    assert "Run again with --overwrite" in collect.write_cohort(tmp_path).read_text()


def test_the_benchmarks_own_tables_stand_on_the_page(tmp_path):
    cell = tables.Cell("I", "MSLUB", "a | <b>", "auprc", ours=0.7, controls=(0.25,), differs="other brains")
    tables.write(tmp_path / "tables", [tables.Table(2, "Fragment: 4 of 30 scans.", (cell,), ("cheap",))])
    turned = ablation.AblationRow("a | <b>", "d", "slices", "all", 0.5, 0.0, 0.25, 0.75, 4, 0)
    ablation.write(tmp_path / "ablation/native", protocols.load("native"), [turned], [])
    (tmp_path / "rows.csv").write_text("dataset,method,protocol,subject,metric,value,n,low,high\n")
    (tmp_path / "report.json").write_text('{"scans": [], "curves": [], "failures": {"x": "broken"}}')

    page = collect.cohort_of(tmp_path)
    own, dice, walk = page.documents
    shown = dict(zip(own.columns, own.lines[0], strict=True))
    assert own.title == "Table 2. Fragment: 4 of 30 scans."
    assert (shown["method"], shown["ours"], shown["published"], shown["cheap"]) == ("a | <b>", "0.700", "", "0.250")
    assert own.notes == ["What differs from the published protocol:", "MSLUB: other brains"]
    assert dice.title == "What your Dice is made of: the protocol native, one field turned at a time."
    assert (dice.kind, dice.lines[0][:6]) == ("ablation", ["a | <b>", "d", "slices", "all", "0.5000", "+0.0000"])
    assert len(dice.notes) == 1 and walk.lines == []
    html = build.cohort_page(page)
    assert "a | &lt;b&gt;" in html
    assert "<td>slices</td>" in html


def test_numbers_of_a_table_come_from_its_csv_whatever_the_markdown_holds(tmp_path):
    """A cell that Markdown cannot hold in one line is read all the same."""
    cell = tables.Cell("I", "MSLUB", "two\nlines", "auprc", ours=0.7)
    tables.write(tmp_path / "tables", [tables.Table(2, "Fragment.", (cell,))])
    (tmp_path / "report.json").write_text('{"failures": {"x": "broken"}}')
    (document,) = collect.cohort_of(tmp_path).documents
    assert document.lines[0][2:5] == ["two\nlines", "auprc", "0.700"]
