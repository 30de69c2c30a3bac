"""From a finished benchmark to its pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairline.benchmarking.run import Finished
from flairline.report import collect, judged
from flairline.types import Progress, no_progress


@dataclass(frozen=True)
class Written:
    """Where the cohort's page is, and which scans' pages could not be made, with reasons."""

    page: Path
    pageless: dict[str, str]


def write_benchmark(finished: Finished, pages: judged.Pages = "some", progress: Progress = no_progress) -> Written:
    """Write OUT/report.json, OUT/thumbnails, OUT/pages and OUT/index.html, then delete OUT/work unless it is to stay.

    The pages draw the curves and pictures of the plan's first protocol.

    Parameters
    ----------
    pages
        A page of each scan ("all"), of those to look at ("some"), or of none ("none").

    Raises
    ------
    OutputError
        OUT cannot be written to.
    InputError
        Nothing was judged, or a stored score is damaged or gone.
    """
    undescribed = collect.keep_details(finished)
    pageless = {**undescribed, **judged.write_pages(finished, pages, progress)}
    finished.remove_scores()
    return Written(collect.write_cohort(finished.plan.out), pageless)
