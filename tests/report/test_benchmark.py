"""From a finished benchmark to its pages."""

from __future__ import annotations

import numpy as np

from flairline import recipes
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.evaluation import protocols
from flairline.report.benchmark import write_benchmark
from flairline.types import Case


def test_pages_need_the_scores_which_go_afterwards(tmp_path, save, make_head):
    head = make_head()
    images = (("flair", head.flair), ("brain", head.brain), ("truth", head.truth))
    paths = {name: save(tmp_path / f"{name}.nii.gz", array.astype(np.int16)) for name, array in images}
    plan = Plan(
        [Case("d", "1", **paths)], [RecipeSource(recipes.load("histeq"))], [protocols.load("native")], tmp_path / "o"
    )
    finished = run(plan)
    assert not (plan.out / "index.html").exists()
    written = write_benchmark(finished, "some")
    assert written.page == plan.out / "index.html" and written.page.exists()
    assert written.pageless == {}
    assert len(list((plan.out / "pages").glob("*.html"))) == 1
    assert not plan.work.exists()
