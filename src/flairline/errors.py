"""What can go wrong, as a tree.

::

    FlairlineError            anything a user can mend; the message is one line
    ├── InputError            what was given cannot be used
    │   ├── ImageError        a file is no image that flairline reads
    │   ├── GridError         two images, or an image and a protocol, do not share a grid
    │   ├── BrainError        no brain, or nothing to measure in it
    │   ├── UnfitError        a scan is not what was asked to learn from
    │   ├── TableError        a table of cases is wrong (file, line and column are named)
    │   └── ModelError        a model folder is broken, foreign, newer, or does not fit
    ├── OutputError           the place to write to cannot be used
    ├── UnknownNameError      no plug-in, protocol or recipe has that name
    └── MissingExtraError     an optional dependency is not installed
        └── MissingPackageError   a plug-in imports a package that is not installed

Every message says what was wanted, what was found, where, and what to do. A FlairlineError ends a command with one
line; any other exception is a bug and shows its traceback, but for what a machine lacks (`lacking`).
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class FlairlineError(Exception):
    """Base of all errors that a user can mend."""


class InputError(FlairlineError):
    """What was given cannot be used."""


class ImageError(InputError):
    """A file is no image that flairline reads."""


class GridError(InputError):
    """Two images, or an image and a protocol, do not share a grid."""


class BrainError(InputError):
    """There is no brain in a scan, or nothing to measure in it."""


class UnfitError(InputError):
    """A scan can be read, but is not what was asked to learn from."""


class TableError(InputError):
    """A table of cases is wrong."""


class ModelError(InputError):
    """A model folder is broken, foreign, newer, or does not fit the scan."""


class OutputError(FlairlineError):
    """The place to write to cannot be used."""


class MissingExtraError(FlairlineError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}, which is missing. Run: pip install 'flairline[{extra}]'")
        self.extra = extra
        self.missing = f"extra {extra}"


class MissingPackageError(MissingExtraError):
    """A plug-in imports a package that is not installed; no extra of flairline's need hold it."""

    def __init__(self, wanted_by: str, package: str) -> None:
        msg = f"{wanted_by} imports {package!r}, which is not installed. Install the package that has it (pip install)."
        FlairlineError.__init__(self, msg)
        self.extra = ""
        self.missing = f"package {package}"


def lacking(error: OSError) -> str:
    """What to do about a full disk or where there is no place for temporary files, in one line; empty otherwise."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return (
            f"No space is left on the disk{where}. Free some, give another folder with -o, or name one with room for"
            " temporary files by the variable TMPDIR."
        )
    if (error.strerror or "").startswith("No usable temporary directory"):
        return (
            f"Wanted a folder for temporary files, but none can be written to ({error.strerror}). Name one by the"
            " variable TMPDIR."
        )
    return ""


class UnknownNameError(FlairlineError):
    """No plug-in, protocol or recipe has that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"No {kind} is called {name!r}.{hint} Known: {', '.join(known)}.")
