"""Charts of the pages."""

from __future__ import annotations

from flairline.drawing.curves import new_figure, svg


def chart(label="A chart & its <label>"):
    figure, axes = new_figure(3.0, 2.0)
    axes.plot([0, 1], [1, 0], label="words")
    axes.legend()
    return svg(figure, label)


def test_words_stay_words_and_the_label_is_escaped():
    text = chart()
    assert text.startswith("<svg") and ">words<" in text
    assert 'aria-label="A chart &amp; its &lt;label&gt;"' in text


def test_the_same_chart_gives_the_same_text():
    assert chart() == chart()


def test_a_name_in_letters_that_the_font_lacks_is_drawn_and_nothing_is_printed(recwarn):
    figure, axes = new_figure(3.0, 2.0)
    axes.set_title("日本")
    assert "日本" in svg(figure, "日本") and not recwarn.list
