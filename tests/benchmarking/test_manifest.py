"""What a manifest says."""

from __future__ import annotations

import json

from flairline.benchmarking.judge import Result
from flairline.benchmarking.manifest import write_manifest
from flairline.evaluation import protocols
from flairline.io.files import sha256


def test_a_manifest_names_files_failures_and_what_was_not_judged(patients, tmp_path):
    results = [
        Result(protocols.load("sound"), name, failures=[("d/1", name)], without_truth=["d/2"], seconds=1.5)
        for name in ("a", "b")
    ]
    write_manifest(tmp_path / "manifest.json", patients, {"seed": 3}, results, {"d/0": "no truth"})
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert content["files"][str(patients[0].flair)] == sha256(patients[0].flair) and len(content["files"]) == 6
    assert [(failure["scan"], failure["reason"]) for failure in content["failures"]] == [
        ("d/0", "no truth"),
        ("d/1", "a"),
        ("d/1", "b"),
    ]
    assert content["without_truth"] == ["d/2"] and content["seconds"] == 3.0 and content["parameters"] == {"seed": 3}
    assert content["peak_memory_mb"] > 10 and "flairline" in content["versions"]
