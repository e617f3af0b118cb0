"""Every block of the documentation is run, or says why it cannot be."""

from __future__ import annotations

import re
import tomllib

import matplotlib.pyplot
import pytest
from tests.docs.blocks import PAGES, ROOT, RUN, SHOWN, Block, blocks_of
from tests.docs.walk import Walk

matplotlib.use("Agg")
BLOCKS = {page: blocks_of(page) for page in PAGES}
RUN_PAGES = [page for page, blocks in BLOCKS.items() if any(block.language in RUN for block in blocks)]


@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_blocks_of_a_page_run(page: str, walk: Walk, pytestconfig: pytest.Config) -> None:
    for block in BLOCKS[page]:
        kept = block.kept == "not run" or (block.kept == "slow" and not pytestconfig.getoption("slow"))
        if block.language in RUN and not kept:
            walk.take(block)
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_a_block_names_a_language_that_is_known(page: str) -> None:
    unknown = [f"{block.line}: {block.language}" for block in BLOCKS[page] if block.language not in (*RUN, *SHOWN)]
    assert not unknown


def test_reasons_are_sentences() -> None:
    kept = [block for blocks in BLOCKS.values() for block in blocks if block.kept]
    assert all(len(block.reason.split()) >= 4 for block in kept)


def test_the_extras_that_pages_name_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    text = "".join((ROOT / page).read_text("utf-8") for page in PAGES)
    named = {
        name for found in re.findall(r'pip install "(?:\.|segfair)\[([a-z,]+)\]', text) for name in found.split(",")
    }
    assert named
    assert named <= set(extras)


def test_a_comment_belongs_to_the_block_behind_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '<!-- not run: a cluster\nis needed -->\n\n```sh\na\n```\n\n```toml title="b.toml"\n```\n\n    segfair c\n\nx\n\n    d\n'
    (tmp_path / "page.md").write_text(text)
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    assert blocks_of("page.md") == [
        Block("page.md", 4, "sh", "a\n", kept="not run", reason="a cluster\nis needed"),
        Block("page.md", 8, "toml", "", title="b.toml"),
        Block("page.md", 11, "sh", "segfair c\n"),
        Block("page.md", 15, "text", "d\n"),
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "segfair audit preds/ labels/ nothing.csv"),
        ("sh", "no-such-command"),
        ("console", "$ segfair --version\nsegfair 9"),
        ("python", "assert False"),
        ("toml", "a ="),
    ],
)
def test_a_wrong_block_is_found(language: str, text: str, walk: Walk) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        walk.take(Block("page.md", 1, language, text, title="a.toml" if language == "toml" else ""))
