import json
import os
import subprocess
import sys
import warnings

import pytest

from flairline import recipes


@pytest.mark.parametrize("command", ["segment", "benchmark", "evaluate", "methods", "demo", "report", "serve"])
def test_every_command_has_help_with_an_example(flairline, command):
    ran = flairline(command, "--help")
    assert ran.code == 0 and "Example: " in ran.out and f"flairline {command}" in ran.out and ran.err == ""


def test_help_and_version(flairline):
    assert "not for diagnosis" in " ".join(flairline("--help").out.split())
    assert flairline("--version").out.startswith("flairline ")


def test_without_a_command_the_help_is_shown(flairline):
    ran = flairline()
    assert ran.code == 2 and "segment" in ran.out + ran.err and "Traceback" not in ran.err


def test_methods_piped_give_one_untruncated_name_a_line_first(flairline):
    ran = flairline("methods")
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == recipes.names()
    assert [row["name"] for row in json.loads(flairline("methods", "--json").out)] == recipes.names()


@pytest.mark.parametrize("words", [("methods",), ("methods", "--json"), ("--help",)])
def test_a_reader_that_leaves_early_is_no_error(words):
    """As `flairline methods | head -1`, with a reader that is gone before the first word."""
    reads, writes = os.pipe()
    os.close(reads)
    code = "from flairline.cli.main import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code, *words], stdout=writes, stderr=subprocess.PIPE, env=environment)
    os.close(writes)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_pipe_that_breaks_elsewhere_is_no_success():
    code = (
        "from flairline import recipes\nfrom flairline.cli import main as cli\n"
        "def broken(): raise BrokenPipeError(32, 'Broken pipe')\n"
        "recipes.listing = broken\ncli.main()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, "methods"], capture_output=True, env=environment).returncode == 1


def test_a_stop_by_the_user_says_how_to_go_on(flairline, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "listing", stop)
    ran = flairline("methods")
    assert ran.code == 130 and "Run the same command again" in ran.line


def test_a_bug_is_not_hidden(flairline, monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(recipes, "listing", fail)
    with pytest.raises(ZeroDivisionError):
        flairline("methods")


HEAVY = (
    "torch", "monai", "lightning", "nilearn", "SimpleITK", "matplotlib", "sklearn", "skimage", "numba", "scipy",
    "scipy.optimize",
)  # fmt: skip


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has after `code`."""
    names = ", ".join(map(repr, HEAVY))
    script = f"import sys\n{code}\nprint(*[name for name in ({names}) if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(ran.stdout.splitlines()[-1].split())


def test_the_command_line_starts_without_anything_heavy():
    assert imported_by("import flairline.cli.main") == set()


def test_help_and_the_list_of_methods_import_no_torch():
    code = """
import flairline.cli.main as cli
for arguments in (["--help"], ["segment", "--help"], ["methods"]):
    sys.argv = ["flairline", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    assert "torch" not in imported_by(code)


def test_one_scan_is_segmented_without_what_only_cohorts_and_trainings_use(tmp_path, save, head):
    save(tmp_path / "flair.nii.gz", head.flair)
    code = f"""
import flairline.cli.main as cli
sys.argv = ["flairline", "segment", {str(tmp_path / "flair.nii.gz")!r}, "--method", "training-free", "--brain", "none"]
sys.argv += ["-o", {str(tmp_path / "out")!r}]
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert imported_by(code) & {"torch", "numba", "scipy.optimize"} == set()
    assert (tmp_path / "out" / "flair" / "report.html").exists()


def test_segment_and_benchmark_import_no_torch(tmp_path, save, head):
    save(tmp_path / "flair.nii.gz", head.flair)
    save(tmp_path / "truth.nii.gz", head.truth.astype("uint8"))
    (tmp_path / "cases.csv").write_text("dataset,subject,flair,truth\nd,1,flair.nii.gz,truth.nii.gz\n")
    code = f"""
import flairline.cli.main as cli
for command in ("segment", "benchmark"):
    out = {str(tmp_path)!r} + "/" + command
    sys.argv = ["flairline", command, "--method", "histeq", "--cases", {str(tmp_path / "cases.csv")!r}, "-o", out]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    assert "torch" not in imported_by(code)


def test_a_warning_that_comes_from_flairline_is_an_error():
    """The filter of pyproject.toml, for modules of any depth; those of others are not."""
    code = compile("import warnings\nwarnings.warn('from here')", "<string>", "exec")
    for name in ("flairline", "flairline.io.nifti", "flairline.evaluation.counts"):
        with pytest.raises(UserWarning, match="from here"):
            exec(code, {"__name__": name})
    with warnings.catch_warnings(record=True) as seen:
        exec(code, {"__name__": "somebody.else"})
    assert len(seen) == 1
