"""The examples of the documentation are run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

HOWTO = Path(__file__).parents[1] / "docs" / "howto" / "add-method.md"


def test_the_slice_method_of_the_howto_trains_and_scores(monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from flairline.learning.loop import Budget
    from flairline.learning.networks.autoencoders import Architecture

    code = re.findall(r"```python\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)[1]
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


INPUTS = Path(__file__).parents[1] / "docs" / "guide" / "inputs.md"


def test_each_row_of_the_table_of_inputs_names_a_test():
    rows = [line for line in INPUTS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = [re.fullmatch(r"\| .+ \| .+ \| `(test_\w+)` \|", line) for line in rows if "| Test |" not in line]
    assert len(named) > 40 and all(named), "a row without a test"
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    assert {row[1] for row in named if row} <= there
