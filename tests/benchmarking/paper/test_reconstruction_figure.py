"""Figure 4: phantoms of 4 mm, a network of the preset `test`, beside a method without one."""

from __future__ import annotations

import numpy as np

from flairline import recipes
from flairline.benchmarking.paper import reconstruction_figure
from flairline.evaluation import protocols


def test_figure_shows_the_largest_lesion_area_in_every_method(judged):
    out, cases, sources, ran = judged
    assert {path.name for path in (out / "figures").iterdir()} == {
        "figure4_sound_phantom.png",
        "figure4_sound_phantom.svg",
    }
    protocol = protocols.load("sound")
    chosen = reconstruction_figure.choose(ran.results, "phantom")
    areas = [
        protocol.truth(protocol.prepare(sources[1].labelled(case, protocol))).sum(axis=(0, 1)) * 16.0 for case in cases
    ]
    assert chosen.area_mm2 == max(area.max() for area in areas) == chosen.truth.sum() * 16.0
    learned, equalised = (
        reconstruction_figure.row_of(result, source, chosen)
        for result, source in zip(ran.results, sources, strict=True)
    )
    assert equalised.reconstruction is None
    assert "does not" in equalised.note.replace("\n", " ")
    stored = next(scan for scan in ran.results[0].stored["phantom", sources[0].name] if scan.case == chosen.case)
    np.testing.assert_array_equal(learned.score, stored.load().score[:, :, chosen.z])
    # The score is what is brighter than the reconstruction; both went back to the scan's grid by one interpolation.
    above = np.clip(learned.seen - learned.reconstruction, 0, None)
    assert np.corrcoef(above.ravel(), learned.score.ravel())[0, 1] > 0.95


def test_one_slice_is_reconstructed_as_in_the_whole_scan(judged):
    _, cases, sources, _ = judged
    scorer = recipes.ready_scorer(sources[0].recipe)
    scan = sources[0].labelled(cases[0], protocols.load("sound")).scan
    z = scan.space.shape[2] // 2
    for whole, alone in zip(scorer.reconstruction(scan), scorer.reconstruction(scan, only=z), strict=True):
        assert whole.array[:, :, z].any()
        np.testing.assert_allclose(alone.array[:, :, z], whole.array[:, :, z], atol=1e-5)
        assert not alone.array[:, :, :z].any()
    assert not scorer.reconstruction(scan, only=-1)[1].array.any()
