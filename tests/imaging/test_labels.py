"""What counts as lesion: labels merged before interpolation or after, ignored labels, foreign labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flairline.errors import GridError, InputError
from flairline.evaluation.counts import Counts
from flairline.evaluation.protocols import Protocol, load
from flairline.imaging.labels import LabelRule
from flairline.preprocess.assemble import LabelledScan, assemble
from flairline.types import Case, Mask, Scan, Space, Volume

BRATS = LabelRule(lesion=(1, 2, 4), known=(0, 1, 2, 4))


def labelled(labels: np.ndarray, rule: LabelRule = BRATS) -> LabelledScan:
    space = Space(labels.shape, np.eye(4))
    flair = np.arange(labels.size, dtype=np.float32).reshape(labels.shape) + 1
    scan = Scan.of("s", Volume(flair, space), Mask(np.ones(labels.shape, np.bool_), space))
    return LabelledScan(scan, labels.astype(np.float32), rule)


def test_published_rule_lets_high_labels_pass_at_a_fraction_of_a_voxel():
    """4 above 0.9 at 22.5 %, 2 at 45 %, 1 only at 90 %; merged before, all need 90 %."""
    half = np.zeros((4, 4, 3))
    for z, label in enumerate((1, 2, 4)):
        half[:2, :, z] = label  # linear resize to three columns puts the edge's middle voxel at one half
    protocol = Protocol("p", in_plane=3, resize="linear", truth_above=0.9)
    after = protocol.truth(protocol.prepare(labelled(half)))
    assert after[1, 0].tolist() == [False, True, True]
    merged = replace(protocol, merge_labels=True)
    before = merged.truth(merged.prepare(labelled(half).with_merged_labels()))
    assert before[1, 0].tolist() == [False, False, False]
    assert before[0].all()


def test_ignored_label_counts_neither_way():
    rule = LabelRule(lesion=(1,), ignored=(2,), known=(0, 1, 2))
    labels = np.zeros((7, 8, 9))
    labels[1, 1, 1], labels[5, 5, 5] = 1, 2
    one = labelled(labels, rule)
    published, sound = load("native"), load("sound")
    assert published.truth(one).sum() == 2
    merged = one.with_merged_labels()
    assert sound.truth(merged).sum() == 1
    score = np.zeros(labels.shape, np.float32)
    score[5, 5, 5] = 1
    scan_map = sound.judged(score, merged)
    assert scan_map.places.size == labels.size - 1
    assert scan_map.score.max() == 0
    everywhere = replace(published, merge_labels=True, n_thresholds=None).judged(score, merged)
    counts = Counts.empty()
    counts.update(everywhere, "p", 1)
    assert (counts.positives, counts.maximum) == (1, 0)


def test_a_case_says_its_rule():
    words = {"lesion_labels": "1 4", "ignored_labels": "2", "known_labels": "", "one_grid": "yes"}
    assert LabelRule.of(Case("d", "s", extra=words)) == LabelRule((1, 4), (2,), (), True)
    assert LabelRule.of(Case("d", "s")) == LabelRule()
    with pytest.raises(InputError, match="whole numbers"):
        LabelRule.of(Case("d", "s", extra={"lesion_labels": "one"}))


def test_foreign_labels_and_another_grid_are_refused(tmp_path, save, make_head):
    head = make_head()
    rule = {"known_labels": "0 1", "one_grid": "yes"}
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    truth = save(tmp_path / "truth.nii.gz", head.truth.astype(np.uint8) * 3)
    with pytest.raises(InputError, match=r"labels 0, 1 .* found 3"):
        assemble(Case("d", "s", flair=flair, truth=truth, extra=rule))
    smaller = save(tmp_path / "smaller.nii.gz", head.truth[:, :, 1:].astype(np.uint8))
    with pytest.raises(GridError, match="not on one grid"):
        assemble(Case("d", "s", flair=flair, truth=smaller, extra=rule))
    assert assemble(Case("d", "s", flair=flair, truth=smaller)).scan.space.shape == head.truth[:, :, 1:].shape
