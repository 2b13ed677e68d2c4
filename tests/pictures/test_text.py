"""Text for people."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from dlscratch.cli import console
from dlscratch.pictures import markup
from dlscratch.pictures.figures import drawable
from dlscratch.pictures.text import counted, cut, figure, file_size, harmless, one_line, times


def test_what_steers_a_terminal_or_turns_text_around_is_written_out() -> None:
    assert harmless("a\x1b[31m\u202eb\x00\x9b\r\nc\td") == "a\\x1b[31m\\u202eb\\x00\\x9b\\r\nc\td"
    assert console.harmless is harmless  # one rule for terminals and pages


@given(st.text())
def test_pages_and_pictures_show_what_a_terminal_shows(text: str) -> None:
    assert markup.escape(text) == html.escape(harmless(text))
    assert harmless(drawable(text)) == drawable(text)
    drawable(text).encode()  # half of a surrogate pair could not be


def test_counts_shapes_and_long_names() -> None:
    assert [counted(n, "layer") for n in (0, 1, 1280)] == ["0 layers", "1 layer", "1,280 layers"]
    assert [times(shape) for shape in ((), (3,), [16, 28, 28])] == ["1", "3", "16×28×28"]
    assert [cut(text, 4) for text in ("abcd", "abcde")] == ["abcd", "abc…"]
    assert [figure(x) for x in (26980.4, 162600.0, 239.06, 0.00031, -1234.5, 5e12, 0.0)] == [
        *("26,980", "162,600", "239.1", "0.00031", "-1,234", "5e+12", "0")
    ]
    assert [file_size(n) for n in (1, 999, 8_140, 7_300_000)] == ["1 byte", "999 bytes", "8.1 kB", "7.3 MB"]
    assert one_line("a\nb\tc") == "a\\nb\\tc"
