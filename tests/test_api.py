"""`import flairline as fl`: light, typed, every verb there to stay, every example runs."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flairline as fl
from flairline.errors import InputError

VERBS = (
    *("segment", "compare", "benchmark", "evaluate", "fit", "synthesise", "export", "fill_t1"),
    *("recipe", "method", "protocol", "list_methods", "demo_scan"),
)
NOUNS = ("Scan", "Volume", "Mask", "Case", "Found", "Space", "Threshold", "Summary", "Lesion", "errors")
WITH_EXAMPLES = (
    *(
        f"flairline.notebook.{name}"
        for name in ("scans", "visits", "judging", "training", "people", "names", "exporting")
    ),
    *("flairline.segmentation", "flairline.summary"),
)
HEAVY = ("numpy", "nibabel", "scipy", "torch", "matplotlib", "typer", "pydantic", "numba")


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def demo():
    return fl.demo_scan()


def test_the_import_loads_nothing_heavy():
    code = f"import sys, flairline; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    assert fresh(code).split() == []


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
