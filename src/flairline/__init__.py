"""flairline finds what is abnormal in a brain MRI without learning from lesion labels.

The public names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Scan": "flairline.types",
    "Volume": "flairline.types",
    "Mask": "flairline.types",
    "Space": "flairline.types",
    "Scorer": "flairline.types",
    "Threshold": "flairline.types",
    "Case": "flairline.types",
    "FlairlineError": "flairline.errors",
    "read_volume": "flairline.io.nifti",
    "read_mask": "flairline.io.nifti",
    "write_mask": "flairline.io.nifti",
    "write_volume": "flairline.io.nifti",
    "Counts": "flairline.evaluation.counts",
    "Protocol": "flairline.evaluation.protocols",
    "Recipe": "flairline.recipes",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    msg = f"module 'flairline' has no attribute {name!r}"
    raise AttributeError(msg)
