from PIL import Image

from classifier.figures.prediction import prediction_figure


def test_the_bars_are_the_probabilities_in_their_order() -> None:
    figure = prediction_figure(Image.new("RGB", (30, 20)), "photo.jpg: cat", ["cat", "a $ and $"], [0.9, 0.1])
    picture, bars = figure.axes
    assert len(picture.images) == 1
    assert [bar.get_width() for bar in bars.patches] == [0.9, 0.1]  # type: ignore[attr-defined]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["cat", "a $ and $"]
    assert [text.get_text() for text in bars.texts] == ["90.0%", "10.0%"]
    assert bars.yaxis_inverted(), "the most likely class stands at the top"
