"""What goes wrong with one scan is that scan's: one line, a traceback in OUT/logs where flairline is at fault."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from flairline import segmentation
from flairline.benchmarking import run
from flairline.report import collect

QUICK = ("--method", "brightest", "--brain", "none")


@pytest.fixture
def flairs(tmp_path, save, head):
    return [save(tmp_path / f"sub-{number}.nii.gz", head.flair) for number in (1, 2)]


@pytest.fixture
def find_fails(monkeypatch):
    """Makes the work on one subject end in a fault of flairline."""
    find = segmentation.find

    def fails_on(subject: str) -> None:
        def found(case, settings):
            if case.subject == subject:
                raise TypeError("no such thing")
            return find(case, settings)

        monkeypatch.setattr(segmentation, "find", found)

    return fails_on


def test_a_fault_after_an_earlier_success_is_shown_as_a_failure_everywhere(tmp_path, flairline, flairs, find_fails):
    out = tmp_path / "out"
    assert flairline("segment", *flairs, *QUICK, "-o", out).code == 0
    find_fails("sub-2")
    ran = flairline("segment", *flairs, *QUICK, "-o", out, "--overwrite", "--no-report")
    log = out / "logs" / "sub-2.txt"
    assert ran.code == 1 and ran.line.endswith(f"traceback in {log})") and "no such thing" in log.read_text()
    assert (out / "sub-1" / "summary.json").exists() and not (out / "sub-2" / "summary.json").exists()
    assert flairline("report", out).code == 0
    page = (out / "index.html").read_text()
    assert "Failed: TypeError: no such thing" in page and page.count("Failed: ") == page.count("Failed: TypeError")


def test_a_later_success_is_no_failure_any_more_and_other_failures_stay(tmp_path, flairline, flairs, find_fails):
    out = tmp_path / "out"
    broken = tmp_path / "sub-3.nii.gz"
    broken.write_bytes(b"")
    find_fails("sub-2")
    assert flairline("segment", *flairs, broken, *QUICK, "-o", out).code == 1
    find_fails("nobody")
    assert flairline("segment", flairs[1], *QUICK, "-o", out).code == 0  # one scan, which has no page of all
    assert set(json.loads((out / "report.json").read_text())["failures"]) == {"sub-3"}
    flairline("report", out)
    page = (out / "index.html").read_text()
    assert "no such thing" not in page and "Failed: No such" not in page and "is empty" in page


def test_a_damaged_summary_is_one_scans_on_the_page_of_all(tmp_path, flairline, flairs):
    out = tmp_path / "out"
    flairline("segment", *flairs, *QUICK, "-o", out)
    (out / "sub-1" / "summary.json").write_text("{")
    ran = flairline("segment", *flairs, *QUICK, "-o", out)
    assert ran.code == 1 and "Run again with --overwrite" in ran.line
    page = (out / "index.html").read_text()
    assert "Cannot read" in page and "sub-2/report.html" in page


def test_a_page_of_all_that_cannot_be_written_leaves_the_scans_and_names_what_failed(tmp_path, flairline, flairs):
    out = tmp_path / "out"
    (out / "index.html").mkdir(parents=True)
    broken = tmp_path / "sub-3.nii.gz"
    broken.write_bytes(b"")
    ran = flairline("segment", *flairs, broken, *QUICK, "-o", out)
    assert ran.code == 1 and "sub-1" in ran.out
    assert ["no page of all scans: Cannot write" in ran.complaints[0], "sub-3" in ran.complaints[1]] == [True, True]


def test_a_folder_of_results_that_is_a_file_is_that_scans(tmp_path, flairline, flairs):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub-1").write_text("a file")
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "sub-1: Cannot replace" in ran.line and "traceback" not in ran.line
    assert (tmp_path / "out" / "sub-2" / "summary.json").exists()


def test_logs_that_cannot_be_written_hide_no_failure(tmp_path, flairline, flairs, find_fails):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").write_text("a file")
    find_fails("sub-1")
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "sub-1: TypeError: no such thing" in ran.line


def test_a_name_longer_than_a_disk_takes_is_cut_and_stays_its_own(tmp_path, flairline, flairs):
    table = tmp_path / "cases.csv"
    long = "ä" * 150
    table.write_text(f"dataset,subject,flair\nd,{long}1,sub-1.nii.gz\nd,{long}2,sub-2.nii.gz\n")
    ran = flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out")
    made = [path.parent.name for path in (tmp_path / "out").glob("*/summary.json")]
    assert ran.code == 0 and len(made) == 2 and all(name.startswith("ä" * 100 + "_") for name in made)


def test_refused_studies_fail_alone(tmp_path, flairline, flairs):
    pytest.importorskip("dcm2niix")
    from dicom_writer import FLAIR, T1, image, write_series

    volume = image()
    for side in volume.array, volume.array.T, volume.array.transpose(1, 0, 2):
        side[:3] = side[-3:] = 0  # air around a head
    write_series(tmp_path / "good", volume, 4, FLAIR)
    write_series(tmp_path / "no FLAIR", image(), 2, T1, study="1.2.4")
    write_series(tmp_path / "again", volume, 4, FLAIR)
    (tmp_path / "empty").mkdir()
    folders = [tmp_path / name for name in ("empty", "no FLAIR", "good", "again")]
    ran = flairline("segment", *folders, flairs[0], *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1
    failed = "\n".join(ran.complaints)
    assert "3 failed" in failed and f"{folders[0]}: Wanted a folder of DICOM slices" in failed
    assert f"{folders[1]}: Wanted a FLAIR series" in failed and "the same study as another" in failed
    made = sorted(path.parent.name for path in (tmp_path / "out").glob("*/summary.json"))
    assert len(made) == 2 and made[0].startswith("study-") and made[1] == "sub-1"
    assert (tmp_path / "out" / "index.html").read_text().count("Failed: ") >= 3


def test_a_fault_while_a_study_is_read_is_that_studys(tmp_path, flairline, flairs, monkeypatch):
    pytest.importorskip("dcm2niix")

    def fails(*_):
        raise TypeError("no such thing")

    monkeypatch.setattr("flairline.io.dicom.choose_study", fails)
    (tmp_path / "dicom").mkdir()
    ran = flairline("segment", tmp_path / "dicom", flairs[0], *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and "TypeError: no such thing (a fault in flairline; traceback in" in ran.line
    assert (tmp_path / "out" / "sub-1" / "summary.json").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_is_said_in_one_line(jobs, monkeypatch, tmp_path, flairline, flairs):
    """Where temporary files find no room, in the command itself as in a scan."""

    def full(*_, **__):
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("flairline.executor.TemporaryDirectory" if jobs > 1 else "flairline.segmentation.find", full)
    ran = flairline("segment", *flairs, *QUICK, "-j", jobs, "--no-report", "-o", tmp_path / "out")
    assert ran.code == 2 and all("No space is left" in line for line in ran.complaints[-jobs:])
    assert "traceback" not in ran.err and "TMPDIR" in ran.err


def test_without_any_place_for_temporary_files_one_line_says_so(tmp_path, flairline, flairs, monkeypatch):
    def none(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/']")

    monkeypatch.setattr("flairline.cli.segment.TemporaryDirectory", none)
    ran = flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 2 and "Wanted a folder for temporary files" in ran.line and "TMPDIR" in ran.line


def in_a_process(words, folder, encoding):
    """The command in a process of its own, whose output only takes the letters of an encoding."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": f"{encoding}:strict"}
    code = "from flairline.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True)


@pytest.mark.parametrize(("encoding", "printed"), [("utf-8", b"caf\xc3\xa9_out"), ("ascii", b"caf?_out")])
def test_a_name_in_latin_1_is_printed_on_any_terminal(tmp_path, flairs, encoding, printed):
    words = [b"segment", *map(os.fsencode, flairs), *map(os.fsencode, QUICK), b"-o", b"caf\xe9_out"]
    ran = in_a_process(words, tmp_path, encoding)
    assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False), ran.stderr
    assert printed in ran.stdout and (tmp_path / os.fsdecode(b"caf\xe9_out") / "index.html").exists()


@pytest.fixture
def latin_1(tmp_path, save, head):
    """A table in latin-1 of a scan, its truth and its score whose names are in latin-1, and of another scan."""
    columns = [b"dataset,subject,flair,truth,score"]
    for name in (b"caf\xe9", b"b"):
        for kind, array in (("flair", head.flair), ("truth", head.truth.astype("uint8"))):
            save(tmp_path / os.fsdecode(name + b"_" + kind.encode() + b".nii.gz"), array)
        columns.append(b"d,N,N_flair.nii.gz,N_truth.nii.gz,N_flair.nii.gz".replace(b"N", name))
    (tmp_path / "cases.csv").write_bytes(b"\n".join(columns) + b"\n")
    return tmp_path / "cases.csv"


@pytest.mark.parametrize("out", [b"out", b"out_\xe9"])
@pytest.mark.parametrize("command", ["segment", "benchmark", "evaluate"])
def test_names_in_latin_1_go_the_whole_way(tmp_path, flairline, latin_1, command, out):
    out = tmp_path / os.fsdecode(out)
    words = {
        "segment": ["--cases", latin_1, *QUICK],
        "benchmark": ["--cases", latin_1, *BENCHMARK],
        "evaluate": [latin_1, "--protocol", "native"],
    }[command]
    ran = flairline(command, *words, "-o", out, "--json")
    assert ran.code == 0 and "caf\\u00e9" in ran.out and "\\udce9" not in ran.out
    assert flairline("report", out).code == 0 and "café" in (out / "index.html").read_text("utf-8")
    if command == "segment":
        assert json.loads((out / "café" / "summary.json").read_text("utf-8"))["lesion_volume_ml"] > 0
    else:
        assert {"café", "b", "cohort"} == {subject for subject, _ in rows_of(out)}
        assert str(tmp_path / "café_flair.nii.gz") in json.loads((out / "manifest.json").read_text("utf-8"))["files"]


def test_subjects_that_are_called_as_what_lies_beside_them_keep_apart(tmp_path, flairline, flairs, find_fails):
    table = tmp_path / "cases.csv"
    table.write_text(
        "dataset,subject,flair\n" + "".join(f"d,{n},sub-1.nii.gz\n" for n in ("work", "logs", "report.json"))
    )
    find_fails("logs_")
    ran = flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 1 and str(tmp_path / "out" / "logs" / "logs_.txt") in ran.line
    made = {path.parent.name for path in (tmp_path / "out").glob("*/summary.json")}
    assert made == {"work_", "report.json_"} and (tmp_path / "out" / "index.html").is_file()


def test_subjects_whose_folders_would_be_one_get_two(tmp_path, flairline, flairs):
    table = tmp_path / "cases.csv"
    table.write_text("dataset,subject,flair\nd,x/y,sub-1.nii.gz\nd,x_y,sub-2.nii.gz\nd,../../z,sub-2.nii.gz\n")
    assert flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out").code == 0
    made = sorted(path.parent.name for path in (tmp_path / "out").glob("*/summary.json"))
    assert made[0] == "_.._z" and len(made) == 3 and all(name.startswith("d_x_y_") for name in made[1:])
    assert flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out").out.count("was there already") == 3


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("report.json", '{"failures": 3}', 2),
        ("report.json", '{"scans": [{}]}', 2),
        ("report.json", "[]", 2),
        ("rows.csv", "a,b\n1,2\n", 2),
        ("rows.csv", "dataset,method,protocol,subject,metric,value,n,low,high\nd,m,p,s,dice,x,1,,\n", 2),
        ("manifest.json", "3", 2),
        ("verdicts.json", "{", 2),
        ("sub-1/summary.json", '{"lesions": 3}', 0),
    ],
)
def test_a_damaged_file_of_results_is_one_line(tmp_path, flairline, flairs, file, content, code):
    flairline("segment", *flairs, *QUICK, "-o", tmp_path / "out")
    (tmp_path / "out" / file).write_text(content)
    ran = flairline("report", tmp_path / "out")
    assert ran.code == code and len(ran.complaints) == bool(code) and "Traceback" not in ran.err


BENCHMARK = ("--method", "brightest", "--protocol", "native", "--brain", "none")


@pytest.fixture
def table(tmp_path, save, make_head):
    """Three patients whose truths are 48 voxels of 3 mm3, by name; `lines` are further lines of the table."""

    def written(*names: str):
        lines = ["dataset,subject,flair,truth"]
        for number, name in enumerate(names):
            head = make_head(number)
            save(tmp_path / f"{number}.nii.gz", head.flair)
            save(tmp_path / f"{number}_truth.nii.gz", head.truth.astype("uint8"))
            lines.append(f"d,{name},{number}.nii.gz,{number}_truth.nii.gz")
        (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "cases.csv"

    return written


def rows_of(out):
    """rows.csv: (subject, metric) -> value."""
    with (out / "rows.csv").open() as file:
        return {(row["subject"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}


def made_unreadable(path, how):
    path.unlink()
    if how == "a link without content":
        path.symlink_to("../.git/annex/objects/xx/MD5E-s1--abc.nii.gz/MD5E-s1--abc.nii.gz")
    elif how == "a folder":
        path.mkdir()


@pytest.mark.parametrize("which", ["1.nii.gz", "1_truth.nii.gz"])
@pytest.mark.parametrize("how", ["a link without content", "a folder"])
def test_one_unreadable_file_is_its_scans_and_the_rest_is_judged(tmp_path, flairline, table, which, how):
    whole, cut = table("a", "b", "c"), tmp_path / "cut.csv"
    cut.write_text("".join(line for line in whole.read_text().splitlines(True) if ",b," not in line))
    made_unreadable(tmp_path / which, how)
    ran = flairline("benchmark", "--cases", whole, *BENCHMARK, "-o", tmp_path / "out")
    assert ran.code == 1 and ran.line.startswith("flairline: d/b: ") and str(tmp_path / which) in ran.line
    assert flairline("benchmark", "--cases", cut, *BENCHMARK, "-o", tmp_path / "wanted").code == 0
    judged, wanted = rows_of(tmp_path / "out"), rows_of(tmp_path / "wanted")
    assert judged.keys() == wanted.keys() and judged["cohort", "dice_oracle"] == wanted["cohort", "dice_oracle"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"][str(tmp_path / which)] == "unreadable"
    assert list(manifest["unreadable"]) == [str(tmp_path / which)]
    assert [failure["scan"] for failure in manifest["failures"]] == ["d/b"]
    assert (tmp_path / "out" / "index.html").exists()


def test_a_file_that_disappears_while_it_is_judged_leaves_manifest_and_page(tmp_path, flairline, table, monkeypatch):
    cases, read = table("a", "b"), run.judge.judge

    def judge_and_lose(*arguments, **words):
        result = read(*arguments, **words)
        (tmp_path / "1.nii.gz").unlink()
        return result

    monkeypatch.setattr(run.judge, "judge", judge_and_lose)
    ran = flairline("benchmark", "--cases", cases, *BENCHMARK, "-o", tmp_path / "out")
    assert ran.code == 1 and "no page of d/b" in ran.line  # which shows the scan once more
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"][str(tmp_path / "1.nii.gz")] == "unreadable" and not manifest["failures"]
    assert ("b", "dice_at_oracle") in rows_of(tmp_path / "out") and (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize("place", ["flairline.report.judged.page_of", "flairline.report.collect._Describe.scan"])
def test_a_fault_in_a_page_is_that_pages(tmp_path, flairline, table, monkeypatch, place):
    def fails(*_):
        raise TypeError("no such thing")

    cases = table("a", "b")
    monkeypatch.setattr(place, fails)
    ran = flairline("benchmark", "--cases", cases, *BENCHMARK, "-o", tmp_path / "out")
    assert ran.code == 1 and len(ran.complaints) == 2
    assert all("no such thing" in line and "traceback in" in line for line in ran.complaints)
    assert (tmp_path / "out" / "index.html").exists() and (tmp_path / "out" / "manifest.json").exists()


def test_a_fault_in_the_page_of_all_leaves_rows_and_manifest(tmp_path, flairline, table, monkeypatch):
    def fails(*_):
        raise TypeError("no such thing")

    cases = table("a", "b")
    monkeypatch.setattr("flairline.report.build.cohort_page", fails)
    ran = flairline("benchmark", "--cases", cases, *BENCHMARK, "-o", tmp_path / "out", "--json")
    assert ran.code == 1 and "no page of all scans: TypeError: no such thing" in ran.line
    assert json.loads(ran.out)["failures"] == {} and (tmp_path / "out" / "manifest.json").exists()


def test_a_fault_in_the_papers_tables_leaves_manifest_and_page(tmp_path, flairline, table, monkeypatch):
    def fails(*_):
        raise TypeError("no such thing")

    cases = table("a", "b")
    monkeypatch.setattr(run, "_write_ablation", fails)
    ran = flairline("benchmark", "--cases", cases, *BENCHMARK, "--ablate", "-o", tmp_path / "out")
    assert ran.code == 1 and "Ablation of native could not be written: TypeError" in ran.line
    assert (tmp_path / "out" / "manifest.json").exists() and (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize("stage", ["keep", "measure"])
def test_a_fault_while_a_scan_is_judged_is_that_scans(tmp_path, flairline, table, monkeypatch, stage):
    home = run.judge.store if stage == "keep" else run.judge
    work = getattr(home, stage)

    def fails_on_b(given, *arguments, **words):
        if getattr(given, "case", given).subject == "b":
            raise TypeError("no such thing")
        return work(given, *arguments, **words)

    cases = table("a", "b")
    monkeypatch.setattr(home, stage, fails_on_b)
    ran = flairline("benchmark", "--cases", cases, *BENCHMARK, "-o", tmp_path / "out")
    log = tmp_path / "out" / "logs" / "d_b.txt"
    assert ran.code == 1 and f"traceback in {log}" in ran.err and "no such thing" in log.read_text()
    assert ("a", "dice_at_oracle") in rows_of(tmp_path / "out") and (tmp_path / "out" / "index.html").exists()


def test_evaluate_judges_beside_what_cannot_be_read(tmp_path, flairline, table):
    columns, first, second = table("a", "cohort").read_text().splitlines()
    cases = tmp_path / "cases.csv"
    cases.write_text(f"{columns},score\n{first},0.nii.gz\n{second},score\n")
    (tmp_path / "score").mkdir()
    ran = flairline("evaluate", cases, "--protocol", "native", "-o", tmp_path / "out")
    assert ran.code == 1 and "d/cohort: " in ran.line and str(tmp_path / "score") in ran.line
    assert (tmp_path / "out" / "manifest.json").exists() and (tmp_path / "out" / "index.html").exists()


def test_a_subject_called_cohort_is_judged_beside_the_cohort(tmp_path, flairline, table):
    for out, name in (("one", "b"), ("other", "cohort")):
        assert flairline("benchmark", "--cases", table("a", name), *BENCHMARK, "-o", tmp_path / out).code == 0
    one, other = rows_of(tmp_path / "one"), rows_of(tmp_path / "other")
    named = {("b" if name == "cohort (subject)" else name, metric): value for (name, metric), value in other.items()}
    equal = {key for key in one if one[key] == named[key] or one[key] != one[key]}
    assert equal == one.keys() == named.keys()
    scans = {scan.subject: scan.metrics["dice_at_oracle"] for scan in collect.cohort_of(tmp_path / "other").scans}
    assert scans == {"a": one["a", "dice_at_oracle"], "cohort": one["b", "dice_at_oracle"]}
