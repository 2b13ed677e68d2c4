"""Colours that colour-blind readers can tell apart; a test reckons what they see.

Six of Okabe and Ito's (2008), without black and yellow, which paper of one kind or the other swallows; then a violet
and a brown.
"""

from __future__ import annotations

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#9048f0", "#904830")
