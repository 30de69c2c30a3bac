"""flairline finds what is abnormal in a brain MRI without learning from lesion labels.

    import flairline as fl

    found = fl.segment("flair.nii.gz", t1="t1.nii.gz")
    found.save("results")

The public names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from flairline.io.surroundings import make_usable as _make_usable

if TYPE_CHECKING:
    from flairline import errors as errors
    from flairline.errors import FlairlineError as FlairlineError
    from flairline.errors import InputError as InputError
    from flairline.errors import MissingExtraError as MissingExtraError
    from flairline.errors import OutputError as OutputError
    from flairline.errors import UnknownNameError as UnknownNameError
    from flairline.evaluation.counts import Counts as Counts
    from flairline.evaluation.protocols import Protocol as Protocol
    from flairline.io.nifti import read_mask as read_mask
    from flairline.io.nifti import read_volume as read_volume
    from flairline.io.nifti import write_mask as write_mask
    from flairline.io.nifti import write_volume as write_volume
    from flairline.notebook.exporting import export as export
    from flairline.notebook.exporting import fill_t1 as fill_t1
    from flairline.notebook.judging import benchmark as benchmark
    from flairline.notebook.judging import evaluate as evaluate
    from flairline.notebook.names import list_methods as list_methods
    from flairline.notebook.names import method as method
    from flairline.notebook.names import protocol as protocol
    from flairline.notebook.names import recipe as recipe
    from flairline.notebook.people import synthesise as synthesise
    from flairline.notebook.scans import demo_scan as demo_scan
    from flairline.notebook.scans import segment as segment
    from flairline.notebook.training import fit as fit
    from flairline.notebook.visits import compare as compare
    from flairline.recipes import Recipe as Recipe
    from flairline.segmentation import Found as Found
    from flairline.summary import Summary as Summary
    from flairline.types import Case as Case
    from flairline.types import Lesion as Lesion
    from flairline.types import Mask as Mask
    from flairline.types import Scan as Scan
    from flairline.types import Scorer as Scorer
    from flairline.types import Space as Space
    from flairline.types import Threshold as Threshold
    from flairline.types import Volume as Volume

_make_usable()  # before a library is imported that fails without a home or a user's name

_NAMES = {
    "flairline.notebook.scans": ("segment", "demo_scan"),
    "flairline.notebook.judging": ("benchmark", "evaluate"),
    "flairline.notebook.training": ("fit",),
    "flairline.notebook.exporting": ("export", "fill_t1"),
    "flairline.notebook.visits": ("compare",),
    "flairline.notebook.people": ("synthesise",),
    "flairline.notebook.names": ("recipe", "method", "protocol", "list_methods"),
    "flairline.types": ("Scan", "Volume", "Mask", "Space", "Case", "Threshold", "Lesion", "Scorer"),
    "flairline.segmentation": ("Found",),
    "flairline.summary": ("Summary",),
    "flairline.recipes": ("Recipe",),
    "flairline.evaluation.protocols": ("Protocol",),
    "flairline.evaluation.counts": ("Counts",),
    "flairline.io.nifti": ("read_volume", "read_mask", "write_volume", "write_mask"),
    "flairline.errors": ("FlairlineError", "InputError", "OutputError", "UnknownNameError", "MissingExtraError"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = ["errors", *_HOMES]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # a checker reads the imports above, and knows what there is not

    def __getattr__(name: str) -> object:
        if name == "errors":
            return importlib.import_module("flairline.errors")
        if name in _HOMES:
            # Kept, so that it is looked up once.
            return globals().setdefault(name, vars(importlib.import_module(_HOMES[name]))[name])
        msg = f"module 'flairline' has no attribute {name!r}"
        raise AttributeError(msg)
