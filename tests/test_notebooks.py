"""The notebooks of the documents run, from the first cell to the last, on phantoms."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, 4)
    assert all(not cell.get("outputs") for cell in notebook.cells), f"{path.name}: stored outputs go out of date"
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # a cell that raises ends the test with its traceback
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data", {}) for output in shown]
    assert any("image/png" in each or "dice_oracle" in each.get("text/plain", "") for each in data)


def test_there_are_two():
    assert {path.stem for path in NOTEBOOKS} == {"scan-to-mask", "my-method"}
