"""What the build of the site adds to the pages: made from the program, whole."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.docs.blocks import ROOT

from segfair.cli.app import LISTED, load_command


@pytest.fixture(autouse=True)
def modules_of_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "website")
    for name in ("commands", "gallery", "notebooks"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_reference_has_every_option_of_every_command() -> None:
    from commands import commands_page

    parts = re.split(r"^### (\S+) ", commands_page(), flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(told) == set(LISTED)
    for name, text in told.items():
        shown = [found for found in load_command(name).params if not getattr(found, "hidden", False)]
        options = {option for found in shown for option in found.opts if option.startswith("--")}
        assert options - {"--help"} <= set(re.findall(r"`(--[a-z0-9-]+)`", text)), name
        assert "| `" in text


def test_no_report_of_the_gallery_names_a_folder_of_this_machine() -> None:
    from gallery import REAL, SHOWN

    commands = [command for entry in (*SHOWN, REAL) for command in entry.commands]
    assert not [command for command in commands if " /" in command]
    for entry in (*SHOWN, REAL):
        assert entry.commands[-1].endswith(f"--out {entry.name}")


def test_a_notebook_becomes_a_page() -> None:
    pytest.importorskip("nbclient", reason="needs segfair[docs]")
    from notebooks import notebook_page

    def output(**data: str) -> SimpleNamespace:
        found = SimpleNamespace(output_type="execute_result", data=data)
        found.get = lambda name, default: found.data if name == "data" else default
        return found

    cells = [
        SimpleNamespace(cell_type="markdown", source="# Title\n\n[next](b.ipynb)"),
        SimpleNamespace(
            cell_type="code",
            source="1 + 1",
            outputs=[
                SimpleNamespace(output_type="stream", text="\x1b[31mred\x1b[0m\n"),
                output(**{"text/plain": "2"}),
                output(**{"text/html": "<p>a</p>\n\n<p>b</p>", "text/plain": "no"}),
            ],
        ),
    ]
    page = notebook_page(SimpleNamespace(cells=cells), "a.ipynb")
    assert "[next](b.md)" in page
    assert "```python\n1 + 1\n```\n\n```text\nred\n```\n\n```text\n2\n```" in page
    assert '<div class="out"><p>a</p>\n<p>b</p></div>' in page
    assert "no" not in page.split("out")[-1]
    assert "(a.ipynb)" in page


def test_files_outside_of_docs_come_along() -> None:
    pytest.importorskip("mkdocs", reason="needs segfair[docs]")
    from hooks import in_repository, on_page_markdown, outside

    assert in_repository("how-to/x.md", "../../examples/gate-workflow.yml") == "examples/gate-workflow.yml"
    text = "[a](../../examples/gate-workflow.yml) [b](../statistics.md) [c](../../../x)\n\n<!-- not run: no data -->\n\n```sh\n"
    assert list(outside("how-to/x.md", text)) == ["examples/gate-workflow.yml"]
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/x.md"))
    shown = on_page_markdown(text, page=page)
    assert "[a](../examples/gate-workflow.yml) [b](../statistics.md)" in shown
    assert "not run" not in shown


def test_a_page_of_the_top_links_to_pages_and_names_other_files() -> None:
    pytest.importorskip("mkdocs", reason="needs segfair[docs]")
    from hooks import TOP, top_page

    text = top_page("[a](docs/how-to/rank.md), [`b`](tests/x.py) and (c)")
    assert text == "[a](../how-to/rank.md), `b` and (c)"
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    assert set(TOP) <= set(re.findall(r": (\S+\.md)$", nav, re.MULTILINE))
    assert all((ROOT / name).is_file() for name in TOP.values())


def test_every_page_has_its_place_in_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= set(re.findall(r": (\S+\.md)$", nav, re.MULTILINE))


def test_the_pictures_of_the_pages_are_those_that_are_made() -> None:
    text = (ROOT / "website" / "pictures.py").read_text("utf-8")
    assert {path.stem for path in (ROOT / "docs" / "images").glob("*.png")} == set(
        re.findall(r'^    "(\w+)": \(', text, re.M)
    )
    assert Path(ROOT / "docs" / "images" / "favicon.svg").is_file()
