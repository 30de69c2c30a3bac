"""Two visits of one patient: `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flairline.cohort.compare import Compared
    from flairline.segmentation import Found


def compare(earlier: Path | str | Found, later: Path | str | Found, out: Path | str | None = None) -> Compared:
    """Say what became of each lesion between two visits of one patient.

    Parameters
    ----------
    earlier, later
        What `segment` returned, or the folder of a finished subject (of `Found.save`, `flairline segment` or
        `flairline bids`).
    out
        Folder for the page, the tables and the images; None writes nothing.

    Returns
    -------
    Compared
        `comparison` (volumes, kinds, the smallest change that can be believed), `lesions` as plain rows, and both
        visits' images on the halfway grid. `save(folder)` writes them.

    Raises
    ------
    InputError
        The visits cannot be compared: unfinished, of two patients, made by two recipes, one scan twice ...
    BrainError
        Their brains are not those of one head.
    GridError
        Their voxels differ too much.

    Examples
    --------
    >>> import flairline as fl
    >>> visits = [fl.segment(fl.demo_scan()[0], method="brightest", threshold=cut) for cut in ("q0.98", "q0.98")]
    >>> compared = fl.compare(*visits)
    >>> compared.comparison.verdict, {lesion["kind"] for lesion in compared.lesions}
    ('unknown', {'stable'})
    """
    from flairline.cohort.compare import compare as compare_visits
    from flairline.cohort.finished import FinishedVisit, read_finished

    visits = [
        read_finished(Path(visit)) if isinstance(visit, (str, Path)) else FinishedVisit.of(visit)
        for visit in (earlier, later)
    ]
    compared = compare_visits(*visits)
    if out is not None:
        compared.save(out)
    return compared
