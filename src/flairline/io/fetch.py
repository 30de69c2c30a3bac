"""Fetching what is too large or too restricted to ship: an address and a sha256, checked on arrival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairline.errors import InputError


@dataclass(frozen=True)
class Remote:
    """A file elsewhere: where it is, what its bytes hash to, and under which licence."""

    name: str
    url: str
    sha256: str
    licence: str


SRI24_T1 = Remote(
    name="sri24_spgr.nii.gz",
    url=(
        "https://raw.githubusercontent.com/muschellij2/sri24/61cfe4374b91502d946946199757714ee5f9aaa9"
        "/inst/extdata/spgr.nii.gz"
    ),
    sha256="f3901d9eb4b942a222f517f5d8eddb3b4e1411b18e0d00e8db6cb6f4b32cee88",
    licence="CC BY-SA 3.0 (SRI24, Rohlfing et al. 2010)",
)


def fetch_sri24(folder: Path | None) -> Path:
    """SRI24's skull-stripped T1, fetched once into `folder`. Raises `InputError` if it cannot be had."""
    return fetch(SRI24_T1, folder)


def fetch(remote: Remote, folder: Path | None) -> Path:
    """The file, from `folder` if it is there and whole, else from its address.

    Raises
    ------
    InputError
        There is no folder to keep it in, no way to its address, or its hash is another.
    """
    if folder is None:
        msg = f"{remote.name} has to be fetched once and kept, and there is no folder for it. Give its file instead."
        raise InputError(msg)
    import pooch

    try:
        path = pooch.retrieve(remote.url, f"sha256:{remote.sha256}", fname=remote.name, path=folder, progressbar=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"Could not fetch {remote.name} from {remote.url}: {reason}."
            f" Download it by hand and give the file (its sha256 is {remote.sha256})."
        )
        raise InputError(msg) from error
    return Path(path)
