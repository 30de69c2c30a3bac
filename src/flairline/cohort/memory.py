"""How much memory this process held at most, since it was asked to forget."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

PROC = Path("/proc/self")


def forget_peak() -> None:
    """Start anew: the next peak is that of what comes now.

    Does nothing where the system cannot: not Linux, or a sandbox that has no `clear_refs` or ignores
    it. `peak_mb` is then the most since the process began, which no scan exceeded.
    """
    with contextlib.suppress(OSError):
        (PROC / "clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    """The most memory (resident) that this process held since `forget_peak`, in MB; else since it began."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        status = (PROC / "status").read_text(encoding="ascii", errors="replace")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)
