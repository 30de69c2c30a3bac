"""`import flairline as fl`: light, typed, and the same answers as the command line."""

import ast
import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import flairline as fl
from flairline.errors import InputError, UnknownNameError

VERBS = ("segment", "benchmark", "evaluate", "fit", "recipe", "method", "protocol", "list_methods", "demo_scan")
NOUNS = ("Scan", "Volume", "Mask", "Case", "Found", "Space", "Threshold", "Summary", "Lesion", "errors")
WITH_EXAMPLES = ("flairline.notebook", "flairline.segmentation", "flairline.summary")
HEAVY = ("numpy", "nibabel", "scipy", "torch", "matplotlib", "typer", "pydantic", "numba")


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def demo():
    return fl.demo_scan()


def test_the_import_loads_nothing_heavy_and_takes_less_than_a_tenth_of_a_second():
    code = f"""
import sys, time
started = time.perf_counter()
import flairline
print(time.perf_counter() - started, *(name for name in {HEAVY!r} if name in sys.modules))
"""
    seconds, *loaded = min((fresh(code).split() for _ in range(3)), key=lambda words: float(words[0]))
    assert loaded == [] and float(seconds) < 0.1


def test_every_public_name_is_there_and_is_listed():
    assert {*VERBS, *NOUNS} <= set(fl.__all__) <= set(dir(fl))
    for name in fl.__all__:
        assert vars(fl).get(name, None) is not None or getattr(fl, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'segmnt'"):
        fl.segmnt  # noqa: B018
    listed = fresh("import flairline; print(*dir(flairline))").split()
    assert {*VERBS, *NOUNS} <= set(listed)


def test_a_type_checker_is_told_of_the_same_names_as_a_program():
    """The lazy names and the imports under TYPE_CHECKING are two lists; they must not part."""
    tree = ast.parse(Path(fl.__file__).read_text(encoding="utf-8"))
    (told,) = (node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    names = {(node.module, alias.name) for node in told.body for alias in node.names}
    assert names == {(home, name) for name, home in fl._HOMES.items()} | {("flairline", "errors")}
    assert (Path(fl.__file__).parent / "py.typed").exists()


def test_no_submodule_takes_a_verbs_place(tmp_path, demo):
    """An import of `flairline.segment` would make the verb `fl.segment` a module for the rest of the program."""
    for module in pkgutil.walk_packages(fl.__path__, "flairline."):
        if "._bundle" in module.name or module.name.endswith("__main__"):
            continue
        importlib.import_module(module.name)
        assert module.name.removeprefix("flairline.") not in VERBS
    scan, truth = demo
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("flair", "truth")}
    fl.write_volume(paths["flair"], scan.flair)
    fl.write_mask(paths["truth"], truth)
    judged = [fl.Case("d", "s", **paths)]
    for _ in range(2):
        assert fl.segment(scan, method="brightest").mask.array.any()
        assert fl.benchmark(judged, methods=["intensity"], protocol="native").failures == {}
        scored = [fl.Case("d", "s", score=paths["flair"], truth=paths["truth"])]
        assert fl.evaluate(scored, protocol="native").failures == {}
        with pytest.raises(InputError, match="needs no training"):
            fl.fit("histeq", [], tmp_path / "model")
        assert fl.recipe("brightest").method == "histeq"
        assert fl.method("histeq").fit([])(scan).space.same_grid(scan.space)
        assert fl.protocol("sound").name == "sound"
        assert {"histeq", "default"} <= {row["name"] for row in fl.list_methods()}
        np.testing.assert_array_equal(fl.demo_scan()[1].array, truth.array)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    ran = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert ran.failed == 0 and ran.attempted > 0


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_says_what_it_does_and_shows_it(name):
    words = getattr(fl, name).__doc__
    assert "Examples\n" in words and ">>> " in words
    assert "Returns\n" in words or "Raises\n" in words or name == "list_methods"


def test_images_go_in_as_paths_as_nibabel_and_as_arrays_of_any_orientation(tmp_path, demo):
    """All four are one head, and what is found in it is the same."""
    scan, _ = demo
    path = tmp_path / "sub-7_FLAIR.nii.gz"
    fl.write_volume(path, scan.flair)
    image = nib.load(path)
    turned = image.as_reoriented(nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt("PSL")
    ))  # fmt: skip
    ways = {
        "path": path,
        "text": str(path),
        "nibabel": image,
        "array": (scan.flair.array, scan.space.vox_to_ras),
        "turned": (np.asarray(turned.dataobj), turned.affine),
        "turned image": turned,
    }
    found = {name: fl.segment(given, method="brightest") for name, given in ways.items()}
    for name, result in found.items():
        np.testing.assert_array_equal(result.mask.array, found["path"].mask.array, err_msg=name)
        np.testing.assert_allclose(result.scan.space.vox_to_ras, scan.space.vox_to_ras, atol=1e-4)
    assert found["path"].summary.subject == "sub-7" and found["array"].summary.subject == "flair"
    saved = nib.load(found["turned"].save(tmp_path / "out") / "mask.nii.gz")
    assert saved.shape == turned.shape and nib.aff2axcodes(saved.affine) == ("P", "S", "L")


def test_t1_brain_and_subject_go_in_as_well(demo):
    scan, _ = demo
    affine = scan.space.vox_to_ras
    found = fl.segment(
        nib.Nifti1Image(scan.flair.array, affine),
        t1=(scan.t1.array, affine),
        brain=(scan.brain.array, affine),
        method="multimodal",
        threshold=1.5,
        subject="a/b",
    )
    np.testing.assert_array_equal(found.scan.brain.array, scan.brain.array)
    assert found.scan.t1 is not None and found.summary.subject == "a_b"
    assert (found.threshold.value, found.threshold.rule) == (1.5, "given")
    assert fl.segment(scan, method="brightest", threshold=np.float32(0.5)).threshold.value == 0.5


def test_the_command_line_finds_the_same(tmp_path, flairline, demo):
    scan, _ = demo
    path = tmp_path / "flair.nii.gz"
    fl.write_volume(path, scan.flair)
    assert flairline("segment", path, "--method", "brightest", "-o", tmp_path / "out", "--no-report").code == 0
    folder = fl.segment(path, method="brightest").save(tmp_path / "mine")
    for name in ("mask.nii.gz", "score.nii.gz", "brain.nii.gz"):
        assert (folder / name).read_bytes() == (tmp_path / "out" / "flair" / name).read_bytes()
    summaries = [json.loads((at / "summary.json").read_text()) for at in (folder, tmp_path / "out" / "flair")]
    for summary in summaries:
        summary.pop("seconds")
    assert list(summaries[0]) == list(summaries[1]) and summaries[0] == summaries[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"flair": 7}, "flair as a path, an image of nibabel"),
        ({"flair": (np.zeros((3, 4, 5)), np.eye(3))}, r"\(3, 4, 5\) and \(3, 3\)"),
        ({"flair": "nowhere.nii.gz"}, "nowhere.nii.gz"),
        ({"flair": "x.nii.gz", "method": "histeq=a", "model": "b"}, "names a model already"),
        ({"flair": "x.nii.gz", "threshold": "many"}, "threshold like 0.95"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as raised:
        fl.segment(**arguments)
    assert "\n" not in str(raised.value)


def test_a_scan_has_its_own_images(demo):
    with pytest.raises(InputError, match="leave the others out"):
        fl.segment(demo[0], brain="none")


def test_unknown_names_are_refused_with_the_closest(demo):
    for call in (fl.recipe, fl.method, fl.protocol, lambda name: fl.segment(demo[0], method=name)):
        with pytest.raises(UnknownNameError):
            call("nonesuch")


def test_rows_fit_a_table_and_a_notebook_shows_a_picture(demo):
    scan, _ = demo
    found = fl.segment(scan, method="brightest")
    assert [row["id"] for row in found.lesions] == list(range(1, found.summary.n_lesions + 1))
    volumes = [row["volume_ml"] for row in found.lesions]
    assert volumes == sorted(volumes, reverse=True) and sum(volumes) == pytest.approx(found.mask.volume_ml)
    html = fl.segment(scan, method="brightest", subject="<b>x</b>")._repr_html_()
    assert "data:image/webp;base64," in html and "&lt;b&gt;x&lt;/b&gt;" in html and "<b>x</b>" not in html
    assert "http" not in html and len(html) < 60_000
    figure = found.plot(slices=3)
    assert len([axes for axes in figure.axes if axes.images]) >= 3


def test_a_model_folder_is_what_fit_returns(tmp_path, demo):
    scan, _ = demo
    pytest.importorskip("torch")
    healthy = []
    for seed in (1, 2):
        path = tmp_path / f"sub-{seed}.nii.gz"
        fl.write_volume(path, fl.demo_scan(seed)[0].flair)
        healthy.append(path)
    folder = fl.fit("vae", healthy, tmp_path / "model", preset="test", max_minutes=0.2, device="cpu")
    started = time.perf_counter()
    found = fl.segment(scan, method="vae", model=folder)
    assert found.summary.recipe == f"vae={folder}" and time.perf_counter() - started < 60
    with pytest.raises(InputError, match="has seen the patients"):
        truth = tmp_path / "truth.nii.gz"
        fl.write_mask(truth, demo[1])
        fl.benchmark([fl.Case("", "sub-1", flair=healthy[0], truth=truth)], methods=[f"vae={folder}"])
