"""Every bench runs: small, in seconds, by the same code as the measurement. Nothing is measured here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHES = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem != "__init__")
NEEDS = {
    "cohort": ("skimage", "sklearn"),
    "evaluate": ("skimage", "sklearn"),
    "inference": ("torch", "lightning"),
    "preprocess": ("deepbet", "dipy"),
    "resampling": ("torch", "einops"),
    "restoration": ("torch",),
    "scale": ("psutil",),
    "segment_memory": ("psutil", "torch"),
}
"""What a bench imports beyond the core; one that is not named here needs nothing."""


@pytest.mark.parametrize("bench", BENCHES)
def test_it_runs_on_tiny_sizes_without_data_and_ends_with_a_line_of_json(bench, tmp_path):
    for module in NEEDS.get(bench, ()):
        pytest.importorskip(module)
    environment = {name: value for name, value in os.environ.items() if name != "FLAIRLINE_DATA"}
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", "--quick"],
        cwd=ROOT,
        env={**environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    measured = json.loads(ran.stdout.strip().splitlines()[-1])
    assert measured and not measured.get("failed")
    assert not list(tmp_path.iterdir()), "what it made is left behind"
