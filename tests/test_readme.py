"""What the README says a second time is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from dlscratch.config import reference

README = Path(__file__).parents[1] / "README.md"


def test_the_reference_is_what_options_prints() -> None:
    text = README.read_text(encoding="utf-8")
    found = re.findall(r"<!-- options -->\n(.*?)\n<!-- /options -->", text, re.DOTALL)
    assert len(found) == 1, "the README needs one part between <!-- options --> and <!-- /options -->"
    assert found[0].strip() == reference.markdown(), "paste the output of `dlscratch options --markdown`"
