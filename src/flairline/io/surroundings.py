"""What libraries expect of a machine: a home that can be written to, a user with a name. Where it lacks, a stand-in.

In a container the user may have no name (`docker run -u 54321`), no home, or one that is read-only, and so may be the
folder that flairline is installed in. numba, matplotlib, torch and what keeps downloads then fail on import, or litter.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import MutableMapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CACHES = {"XDG_CACHE_HOME": ".cache", "MPLCONFIGDIR": ".config"}
"""Variables that name a folder of caches, and where it lies in a home where they name none."""


def make_usable(environment: MutableMapping[str, str] = os.environ) -> None:
    """Name a user, a home and places for caches in the environment where there are none that can be used.

    What is set and works stays as it is. Stand-ins lie in a folder of the user's own among the temporary files, so
    that a later run finds its caches again; where there is no place for temporary files either, nothing is set.
    """
    if os.name != "posix":
        return
    if not any(environment.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")) and not _has_entry():
        environment["LOGNAME"] = environment["USER"] = f"user{os.getuid()}"
    home = environment.get("HOME", "")
    wanted = {}
    if not home and not _has_entry():
        wanted["HOME"] = "home"
    if home or wanted:  # a home by the entry alone is left to the libraries
        wanted |= {name: name.lower() for name, place in CACHES.items() if not _usable(environment, name, home, place)}
        if not _numba_can_cache(environment, wanted):
            wanted["NUMBA_CACHE_DIR"] = "numba"
    if wanted and (stand_in := _own_folder()) is not None:
        for name, below in wanted.items():
            folder = stand_in / below
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                environment[name] = str(folder)


def open_streams() -> None:
    """Open what nobody gave this process of input, output and errors (`flairline ... >&-`) on the null device.

    Else Python has None for them, and the next file that is opened takes their place.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _has_entry() -> bool:
    """Whether the system knows the user."""
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def _usable(environment: MutableMapping[str, str], name: str, home: str, place: str) -> bool:
    """Whether a folder of caches can be written to or made; one that somebody named is theirs to get right."""
    return bool(environment.get(name)) or (bool(home) and _can_write(Path(home) / place))


def _numba_can_cache(environment: MutableMapping[str, str], wanted: MutableMapping[str, str]) -> bool:
    """Whether numba can keep what it compiles: beside the code, among the caches, or where it was told to."""
    return (
        bool(environment.get("NUMBA_CACHE_DIR"))
        or "XDG_CACHE_HOME" not in wanted
        or all(_can_write(folder / "__pycache__") for folder in (PACKAGE, PACKAGE / "evaluation"))
    )


def _can_write(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def _own_folder() -> Path | None:
    """A folder of temporary files that nobody else can write to; None where there is no place for one."""
    import tempfile

    try:
        folder = Path(tempfile.gettempdir()) / f"flairline-{os.getuid()}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
        return Path(tempfile.mkdtemp(prefix="flairline-"))  # somebody else took the name
    except OSError:
        return None
