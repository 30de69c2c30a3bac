"""manifest.json: what a benchmark's numbers came from, so that somebody else can make them again."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flairline.benchmarking.judge import Result
from flairline.errors import InputError
from flairline.io.files import sha256, write_json
from flairline.io.versions import versions
from flairline.types import Case

UNREADABLE = "unreadable"
"""What stands for the hash of a file that cannot be read."""


def write_manifest(
    path: Path,
    cases: Sequence[Case],
    parameters: Mapping[str, Any],
    results: Sequence[Result],
    incomplete: Mapping[str, str],
) -> None:
    """Write versions, parameters, hashes of every input, seconds, peak memory and failures.

    Of a file that cannot be read the hash is `UNREADABLE`, and the reason stands under ``unreadable``.

    Parameters
    ----------
    incomplete
        Scans that were there in part and never became cases, with reasons.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    files = sorted({str(path) for case in cases for path in _files(case)})
    hashes, unreadable = {}, {}
    for name in files:
        try:
            hashes[name] = sha256(Path(name))
        except InputError as error:
            hashes[name], unreadable[name] = UNREADABLE, str(error)
    failures = [*incomplete.items(), *(failure for result in results for failure in result.failures)]
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    write_json(
        path,
        {
            "versions": versions(),
            "parameters": parameters,
            "files": hashes,
            "unreadable": unreadable,
            "failures": [{"scan": scan, "reason": reason} for scan, reason in failures],
            "without_truth": sorted({scan for result in results for scan in result.without_truth}),
            "seconds": sum(result.seconds for result in results),
            "peak_memory_mb": max(usage) / (1024.0 if sys.platform != "darwin" else 1024.0**2),
        },
    )


def _files(case: Case) -> list[Path]:
    images = (case.flair, case.t1, case.t2, case.brain, case.truth, case.score, case.mask)
    return [path for path in images if path]
