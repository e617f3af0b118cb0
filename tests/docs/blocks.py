"""The code blocks of the documentation, and what is said about running them.

A block is fenced and names its language, or indented and begins with a command of ours. One comment may stand before it:

    <!-- not run: REASON -->    it cannot be: the data, the cluster, the account are elsewhere
    <!-- slow: REASON -->       `make docs` runs it, `make test` does not

A title (```toml title="study.toml") makes it the file of that name, for the blocks that follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
RUN = ("sh", "console", "python", "toml")
"""Languages of blocks that are run."""
SHOWN = ("text", "r", "yaml")
"""Languages of blocks that are to be looked at."""

_COMMENT = re.compile(r"<!-- (not run|slow): (.+?) -->\s*$", re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        page: Path of its page in the repository.
        line: Its first line there, counted from 1.
        language: Of the fence; "sh" of an indented block that begins with a command of ours, "text" of any other.
        text: What it holds.
        title: Name of the file that it is, or "".
        kept: "not run" or "slow" where a comment says so, else "".
        reason: Why.
    """

    page: str
    line: int
    language: str
    text: str
    title: str = ""
    kept: str = ""
    reason: str = ""


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in their order."""
    found: list[Block] = []
    comment: re.Match[str] | None = None
    for token in MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text("utf-8")):
        if token.type in ("fence", "code_block"):
            language, _, rest = token.info.strip().partition(" ")
            if token.type == "code_block":
                language = "sh" if re.match(r"(make|mkdir|pip|segfair) ", token.content) else "text"
            title = _TITLE.search(rest)
            assert token.map is not None
            kept = comment.groups() if comment else ("", "")
            found.append(
                Block(page, token.map[0] + 1, language, token.content, title[1] if title else "", *map(str, kept))
            )
        comment = _COMMENT.match(token.content) if token.type == "html_block" else None
    return found
