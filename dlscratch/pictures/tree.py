"""Trees of text: what the terminal, plain text and tests show of a graph."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Branch:
    """A line and what hangs under it."""

    label: str
    branches: list[Branch] = field(default_factory=list)

    def text(self) -> str:
        """The tree with lines drawn before its branches."""
        lines = [self.label]
        for position, branch in enumerate(self.branches, start=1):
            last = position == len(self.branches)
            first, *rest = branch.text().split("\n")
            lines.append(("└── " if last else "├── ") + first)
            lines += [("    " if last else "│   ") + line for line in rest]
        return "\n".join(lines)
