"""Text -> shapes -> words: what counts as a word, and where a sentence ends.

A shape is a run of bytes between blanks, such as `knee`, `'tis` or `naïve,`. Fast operations on bytes cut text into
shapes, and what a shape means is worked out once for each shape, not for each of its occurrences: it stands for no
word, for one, or for more. Text with few ASCII letters is cut by the pattern for words itself, since blanks may be
rare in it, and shapes as many as sentences.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

Shape = bytes | str

END = b"\xff"  # the end of a sentence, as a shape: UTF-8 never has this byte
MOSTLY_FOREIGN = 0.3  # the share of bytes beyond ASCII from which the pattern cuts the text
ASCII = bytes(range(128))
MARKS = (0x0300, 0x20000)  # where Unicode has combining marks that are written inside words

# Signs that would glue words together into one shape, "said—then": a sign that is missing here only costs time.
GLUE = [sign.encode() for sign in "—–“”„«»…\u00a0\u2028。、，"]
SENTENCE_END = re.compile(
    rb"(?<![.!?])(?<!\xe2\x80\xa6)(?:[.!?]|\xe2\x80\xa6)++"  # full stops and such, and an ellipsis, all of them,
    rb"(?:[\"')\]*_]|\xe2\x80[\x99\x9d]|\xc2\xbb)*+"  # with what closes quotations and brackets,
    rb"(?=\s|$)"  # where a blank follows;
    rb"|(?:\xe3\x80\x82|\xef\xbc[\x81\x9f])+"  # full stops of Chinese and Japanese;
    rb"|(?:^|\n)[ \t\r]*(?=\n)"  # empty lines
)


class Tokenizer:
    """Cuts text into words and sentences.

    `words` takes runs of letters with apostrophes inside (’ becomes '), in small letters unless `lowercase` is off;
    `whitespace` takes whatever stands between blanks, as it is. A sentence is a line, or with `sentences="punctuation"`
    ends at . ! ? before a blank, and at empty lines.
    """

    def __init__(
        self,
        kind: Literal["words", "whitespace"] = "words",
        sentences: Literal["lines", "punctuation"] = "lines",
        lowercase: bool = True,
    ) -> None:
        self.kind, self.sentences = kind, sentences
        self.lowercase = lowercase and kind == "words"
        self._table = _byte_table(keep_all=kind == "whitespace", lowercase=self.lowercase)

    def shapes(self, text: bytes) -> Sequence[Shape]:
        """The shapes of a piece of text that is valid UTF-8, with END after each sentence."""
        if self.sentences == "punctuation":
            text = SENTENCE_END.sub(rb"\g<0>" + END, text).replace(b"\n", b" ")
        if not text.isascii():
            if self.kind == "words" and len(text.translate(None, ASCII)) > MOSTLY_FOREIGN * len(text):
                return self._cut_by_pattern(text)
            for sign in GLUE if self.kind == "words" else ():
                text = text.replace(sign, b" ")
        return text.translate(self._table).replace(END, b" " + END + b" ").split()

    def _cut_by_pattern(self, text: bytes) -> list[Shape]:
        marked = text.replace(b"\n", END).replace(END, b"\n").decode()
        return [END if shape == "\n" else shape for shape in _pattern(r"|\n").findall(marked)]

    def words(self, shape: Shape) -> list[str]:
        """The words that a shape stands for."""
        if shape == END:
            return []
        text = shape if isinstance(shape, str) else shape.decode()
        words = _pattern().findall(text) if self.kind == "words" else text.split()
        words = [word.replace("’", "'") for word in words] if self.kind == "words" else words
        return [word.lower() for word in words] if self.lowercase else words


def _byte_table(keep_all: bool, lowercase: bool) -> bytes:
    """What each byte becomes: lines end sentences, capitals small letters, signs blanks; the rest stays."""
    table = bytearray(range(256))
    for byte in range(128):
        sign = chr(byte)
        if sign == "\n":
            table[byte] = END[0]
        elif sign.isalpha():
            table[byte] = ord(sign.lower()) if lowercase else byte
        elif not keep_all and sign != "'":
            table[byte] = ord(" ")
    return bytes(table)


@functools.cache
def _pattern(more: str = "") -> re.Pattern[str]:
    """Letters and the marks on them, with single apostrophes inside."""
    marks = "".join(chr(code) for code in range(*MARKS) if unicodedata.category(chr(code))[0] == "M")
    letters = rf"[^\W\d_]+(?:[{marks}]+[^\W\d_]*)*"
    return re.compile(rf"{letters}(?:['’]{letters})*{more}")
