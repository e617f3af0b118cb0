"""What the build adds to the pages of docs/: reference of commands, notebooks, gallery, files that pages link to."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from commands import commands_page
from gallery import shown

ROOT = Path(__file__).resolve().parents[1]
MADE = ROOT / "build" / "made"
PUBLISHED = (".html", ".json", ".csv", ".md", ".toml", ".svg")
"""Files of a report that stand in the gallery; its networks and masks do not."""

TOP = {"reference/changes.md": "CHANGELOG.md", "reference/security.md": "SECURITY.md"}
"""Pages that lie at the top of the repository."""

_TOP_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)")
_COMMENT = re.compile(r"<!-- (?:not run|slow): .+? -->\n*", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds what is made, and what pages link to outside of docs/."""
    if not MADE.is_dir():
        raise PluginError(f"{MADE.relative_to(ROOT)} is not there; `make docs` makes it and then the site")
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "gallery/index.md", content=gallery_page()))
    for place, name in TOP.items():
        files.append(File.generated(config, place, content=top_page((ROOT / name).read_text("utf-8"))))
    for made, place in made_files():
        replaced = files.get_file_from_path(place)
        if replaced is not None:
            files.remove(replaced)
        files.append(File.generated(config, place, abs_src_path=str(made)))
    linked = {place for file in files.documentation_pages() for place in outside(file.src_uri, file.content_string)}
    for place in sorted(linked):
        files.append(File.generated(config, place, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the copies in the site; what tests are told is not shown."""

    def inside(link: re.Match[str]) -> str:
        place = in_repository(page.file.src_uri, link[2])
        if not (ROOT / place).is_file() or place.startswith("docs/"):
            return link[0]
        return link[1] + posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")

    return _LINK.sub(inside, _COMMENT.sub("", markdown))


def in_repository(page: str, link: str) -> str:
    """Where a link of a page leads, from the top of the repository."""
    return posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))


def outside(page: str, markdown: str) -> Iterator[str]:
    """The files outside of docs/ that a page links to."""
    for link in _LINK.finditer(markdown):
        place = in_repository(page, link[2])
        if not place.startswith(("docs/", "..")) and (ROOT / place).is_file():
            yield place


def top_page(markdown: str) -> str:
    """A page of the top of the repository: what it links to in docs/ is linked to, other files are named."""

    def placed(link: re.Match[str]) -> str:
        if not link[2].startswith("docs/"):
            return link[1]
        return f"[{link[1]}](../{link[2].removeprefix('docs/')}{link[3] or ''})"

    return _TOP_LINK.sub(placed, markdown)


def made_files() -> Iterator[tuple[Path, str]]:
    """Files that the build made, and their places in the site."""
    for path in sorted((MADE / "notebooks").glob("*.md")):
        yield path, f"notebooks/{path.name}"
    for path in sorted((MADE / "pictures").rglob("*.png")):
        yield path, f"images/{path.relative_to(MADE / 'pictures').as_posix()}"
    reports = MADE / "reports"
    for name in (name for entry in shown() for name in (entry.name, *entry.beside)):
        for path in sorted((reports / name).rglob("*")):
            # A Markdown file would become a page of the site.
            if path.suffix in PUBLISHED and path.is_file() and path.suffix != ".md":
                yield path, f"gallery/{path.relative_to(reports).as_posix()}"


def gallery_page() -> str:
    """The reports of this build, each with the commands that made it."""
    parts = [
        "# Gallery\n",
        "Real reports, made by this build with the commands beneath them; each opens as a user has it.\n",
    ]
    for entry in shown():
        page, picture = f"{entry.name}/{entry.page}", f"gallery/{entry.name}.png"
        parts.append(f"## {entry.title}\n\n{entry.about}\n")
        if (MADE / "pictures" / picture).is_file():
            parts.append(f"[![The top of the page](../images/{picture})]({page})\n")
        else:
            parts.append(f"[Open the page]({page})\n")
        parts.append("```sh\n" + "\n".join(entry.commands) + "\n```\n")
    if os.environ.get("SEGFAIR_BUSBRA") is None:
        parts.append(
            "A report of real images, of [BUS-BRA](../how-to/bus-bra.md), stands here where `SEGFAIR_BUSBRA` names the "
            "folder of the data when the site is built.\n"
        )
    return "\n".join(parts)
