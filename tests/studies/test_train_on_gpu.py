"""The script for a GPU, tried on the CPU: weights, curve and calibration come out, and a second call goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "studies" / "train_on_gpu.sh"


def label_map(shift: int) -> np.ndarray:
    """White matter in cortex in CSF in skin, with a ventricle; unequal sides."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in (50, 54, 46)), indexing="ij")
    r = np.sqrt(((x - 25) / 24) ** 2 + ((y - 27 - shift) / 25) ** 2 + ((z - 23) / 22) ** 2)
    labels = np.zeros(r.shape, np.float32)
    for limit, number in ((0.95, 515), (0.85, 24), (0.75, 3), (0.6, 2), (0.2, 4)):
        labels[r < limit] = number
    return labels


def run(folder: Path, out: Path) -> subprocess.CompletedProcess:
    command = f'#!/bin/sh\nexec "{sys.executable}" -c "from flairline.cli.main import main; main()" "$@"\n'
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "flairline").write_text(command)
    (tools / "flairline").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "LABELS": str(folder / "labels"), "DEVICE": "cpu", "PRESET": "test"}
    given["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.run([str(SCRIPT), "1", str(out)], env=given, capture_output=True, text=True)


def test_it_writes_what_is_needed_and_goes_on_from_it(tmp_path):
    (tmp_path / "labels").mkdir()
    for number in range(3):
        nib.save(nib.Nifti1Image(label_map(number), np.eye(4)), tmp_path / "labels" / f"labels{number}.nii.gz")
    out = tmp_path / "out"
    ran = run(tmp_path, out)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {path.name for path in out.iterdir()} == {
        "weights.safetensors",
        "config.json",
        "model_card.md",
        "curve.json",
        "round",
    }
    first = json.loads((out / "config.json").read_text())
    assert first["seed"] == 61 and first["started_from"] == [] and first["calibration"]["scans"] > 0
    assert run(tmp_path, out).returncode == 0
    second = json.loads((out / "config.json").read_text())
    assert second["seed"] == 62 and [model["seed"] for model in second["started_from"]] == [61]
    assert (out / "round").read_text() == "2\n"


def test_it_says_what_it_wants(tmp_path):
    ran = subprocess.run([str(SCRIPT)], capture_output=True, text=True)
    assert ran.returncode == 2 and "usage: LABELS=FOLDER" in ran.stderr
