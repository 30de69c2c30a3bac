"""The examples of the documentation are run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOWTO = ROOT / "docs" / "howto" / "add-learned-method.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_an_example_imports_of_flairline_is_there(page):
    """Statements alone: what a name is called is what goes out of date. Needs none of the extras' libraries."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for module, names in re.findall(r"^\s*from (flairline[\w.]*) import ([\w, ]+)$", block, re.MULTILINE):
            loaded = importlib.import_module(module)
            for name in map(str.strip, names.split(",")):
                assert hasattr(loaded, name) or importlib.util.find_spec(f"{module}.{name}"), (module, name)


GENERATED = {ROOT / "docs" / "reference" / name for name in ("commands.md", "methods.md", "api.md")}
"""Pages that the program writes about itself when the site is built."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link and not link.startswith("mailto:"):
            place = (page.parent / link).resolve()
            assert place.exists() or place in GENERATED, link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_columns_of_rows_csv_are_the_documents():
    text = " ".join((ROOT / "docs" / "concepts" / "counts.md").read_text(encoding="utf-8").split())
    (columns,) = re.findall(r"`rows.csv` has the columns ([\w, ]+)\.", text)
    from flairline.benchmarking import rows

    assert tuple(columns.split(", ")) == rows.COLUMNS


def test_the_slice_method_of_the_howto_trains_and_scores(monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from flairline.learning.loop import Budget
    from flairline.learning.networks.autoencoders import Architecture

    code = re.findall(r"```python\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)[0]
    module = types.ModuleType("ae_sharp")
    monkeypatch.setitem(sys.modules, "ae_sharp", module)
    exec(code, module.__dict__)
    method = module.Method()
    assert set(method.architectures) == {"paper", "small", "test"}
    assert method.name == method.family == "ae_sharp"
    network = method.network(Architecture(**method.architectures["test"]))
    images, brains = torch.rand(2, 1, 32, 32), torch.ones(2, 1, 32, 32)
    assert method.objective(network, Budget(2), 1e-3).loss((images, brains)).requires_grad
    score, reconstruction = method.score_slices(network.eval(), images, brains)
    assert score.shape == reconstruction.shape == images.shape
    torch.testing.assert_close(score, (images - reconstruction).clamp(min=0))


def test_a_page_says_at_its_top_for_whom_it_is():
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if "lab" not in page.parts and "models" not in page.parts:
            title, _, whom = page.read_text(encoding="utf-8").splitlines()[:3]
            assert title.startswith("# "), page
            assert whom.startswith(("*For whoever", "*For everybody")), page


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_is_built_without_a_broken_link_and_asks_no_other_host(site):
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "flairline segment" in commands and "--threshold" in commands
    assert (site / "assets" / "javascripts" / "iframe-worker.js").stat().st_size > 500


OF_EACH_KIND = ("start/index", "guide/cohorts", "reference/commands", "reference/api", "results/index")
"""A page of words, tables and code in a frame, of long tables, of generated signatures, of figures."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_on_the_site_and_no_page_is_wider_than_the_window(
    site, driver, axe, width, scheme, monkeypatch
):
    """All pages are looked at in the same way by `python -m studies.site`."""
    monkeypatch.syspath_prepend(ROOT)
    look = importlib.import_module("studies.site").look
    found = {page: look(driver, axe, site / f"{page}.html", width, scheme) for page in OF_EACH_KIND}
    assert {page: words for page, words in found.items() if words} == {}


INPUTS = Path(__file__).parents[1] / "docs" / "guide" / "inputs.md"


def test_each_row_of_the_table_of_inputs_names_a_test():
    rows = [line for line in INPUTS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = [re.fullmatch(r"\| .+ \| .+ \| `(test_\w+)` \|", line) for line in rows if "| Test |" not in line]
    assert len(named) > 40 and all(named), "a row without a test"
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    assert {row[1] for row in named if row} <= there
