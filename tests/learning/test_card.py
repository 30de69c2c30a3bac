"""The one template of all model cards."""

from flairline.learning.card import Card, Table, curve_rows, row

SOURCES = Table("Scans", "sha256", ("file", "sha256"), (row("a|b.nii\n.gz", "12"),))


def test_sections_come_in_their_order_and_a_cell_cannot_end_the_table():
    card = Card(
        "m", "About.", "Research.", "Scans.", "Ten steps.", SOURCES, curve_rows([5], [0.5]), ("**Weak on.** All.",)
    )
    assert card.render() == (
        "# m\n\nAbout.\n\n**Intended use.** Research.\n\n**Data.** Scans.\n\n**Training.** Ten steps.\n\n"
        "| step | validation |\n|---|---|\n| 5 | 0.5000 |\n\n**Weak on.** All.\n\n"
        "**Scans** (sha256).\n\n| file | sha256 |\n|---|---|\n| a\\|b.nii .gz | 12 |\n"
    )


def test_a_card_without_curve_or_further_sections_has_no_hole():
    text = Card("m", "About.", "Research.", "Scans.", "None.", SOURCES).render()
    assert "**Training.** None.\n\n**Scans**" in text and "validation" not in text
