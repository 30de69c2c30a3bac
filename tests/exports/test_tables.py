"""Tables by the rules of each program's format; each names all labels in one order and one colour."""

from __future__ import annotations

import shlex

import pytest

from flairline.exports.tables import TABLES, freesurfer, fsleyes, itk_snap, numbered_labels, slicer

NAMES = ("lesion 1 left deep white matter", "lesion 2 right", "lesion 3")
LABELS = numbered_labels(NAMES)


def rows(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


def test_itk_snap_wants_eight_columns_and_the_name_in_quotes():
    clear, *others = rows(itk_snap(LABELS))
    assert clear == [*"0000000", "Clear Label"]
    assert [(int(row[0]), row[4:7], row[7]) for row in others] == [
        (number, ["1", "1", "1"], name) for number, name in enumerate(NAMES, start=1)
    ]
    assert [tuple(map(int, row[1:4])) for row in others] == [label.rgb for label in LABELS]


@pytest.mark.parametrize(("table", "opacity"), [(freesurfer, 0), (slicer, 255)])
def test_freesurfer_and_slicer_want_six_columns_and_no_blank_in_a_name(table, opacity):
    background, *others = rows(table(LABELS))
    assert background[0] == "0" and background[2:] == ["0"] * 4
    assert [(int(row[0]), row[1]) for row in others] == [
        (number, name.replace(" ", "_")) for number, name in enumerate(NAMES, start=1)
    ]
    assert [[*map(int, row[2:])] for row in others] == [[*label.rgb, opacity] for label in LABELS]


def test_fsleyes_wants_shares_and_no_background():
    lines = [line.split(maxsplit=4) for line in fsleyes(LABELS).splitlines()]
    assert [(int(line[0]), line[4]) for line in lines] == list(enumerate(NAMES, start=1))
    for line, label in zip(lines, LABELS, strict=True):
        assert [float(share) * 255 for share in line[1:4]] == pytest.approx(label.rgb, abs=1e-3)


def test_many_labels_have_colours_of_their_own():
    colours = {label.rgb for label in numbered_labels([str(number) for number in range(200)])}
    assert len(colours) == 200


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fsleyes_gets_the_two_rows_without_which_it_reads_no_table(count):
    lines = fsleyes(LABELS[:count]).splitlines()
    assert len(lines) == max(2, count) and [line.split()[0] for line in lines] == ["1", "2", "3"][: len(lines)]
    assert sum(line.endswith(" unused") for line in lines) == max(0, 2 - count)


def test_a_mask_without_lesions_has_tables_all_the_same():
    assert all(table([]).count("\n") <= 3 for table in TABLES.values())
