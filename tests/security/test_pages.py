"""Every page that is written: it runs its own script and nothing else, whatever the names in it are."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.report.pages import Page
from tests.security.hostile import MARK, MARKUP

from segfair.report.files import page_script, template_folder

Written = Callable[[str], Path]

# What no page of ours has: elements that load or change where links lead (a form of ours has no action to send to).
NEVER = {"iframe", "object", "embed", "base", "applet", "frame", "audio", "video", "foreignobject"}


def pages(folder: Path) -> dict[str, Page]:
    """Every page below a folder."""
    return {str(path.relative_to(folder)): Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}


def test_every_kind_of_page_is_here(written: Written) -> None:
    """Those whose templates there are, so that a new page does not stay out."""
    kinds = {Path(name).name for name in pages(written("markup"))}
    assert {"report.html", "summary.html", "comparison.html", "runs.html", "leaderboard.html", "dossier.html"} <= kinds
    assert {"cohorts.html", "monitor.html"} <= kinds
    whole = {path.name for path in template_folder().glob("*.j2") if "extends" in path.read_text("utf-8")}
    assert whole <= {
        f"{name}.html.j2" for name in ("comparison", "runs", "cohorts", "rank", "team", "mitigation", "dossier")
    }, "a page of its own needs a place in tests/security/hostile.py"


@pytest.mark.parametrize("kind", ["plain", "markup", "formulas"])
def test_a_page_runs_one_script_by_its_hash_and_fetches_nothing(written: Written, kind: str) -> None:
    script = page_script(template_folder())
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    found = pages(written(kind))
    assert len(found) > 20
    for name, page in found.items():
        policies = [value for tag, key, value in page.attributes if tag == "meta" and "default-src" in value]
        assert len(policies) == 1, name
        rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))
        assert rules.pop("script-src", f"'sha256-{digest}'") == f"'sha256-{digest}'", name
        assert rules == {
            "default-src": "'none'",
            "style-src": "'unsafe-inline'",
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
        }, name
        run = [text for kinds, text in page.scripts if kinds.get("type") != "application/json"]
        assert run in ([script], []), name
        assert all("<" not in text for kinds, text in page.scripts if kinds), name


@pytest.mark.parametrize("kind", ["plain", "markup", "formulas"])
def test_a_page_has_no_handler_and_leads_nowhere_else(written: Written, kind: str) -> None:
    folder = written(kind)
    for name, page in pages(folder).items():
        assert not NEVER & set(page.tags), name
        for tag, key, value in page.attributes:
            assert not key.startswith("on") and key not in ("srcdoc", "action", "formaction", "srcset"), (
                name,
                tag,
                key,
            )
            if key == "src":
                assert value.startswith("data:image/"), (name, value)
            if key.rpartition(":")[2] == "href":
                icon = tag == "link" and value.startswith("data:image/svg+xml,")
                pixels = tag == "image" and value.startswith("data:image/png;base64,")
                assert icon or pixels or re.match(r"#|[^:]*$", value), (name, value)
        source = (folder / name).read_text("utf-8")
        styles = "".join(re.findall(r"<style>(.*?)</style>", source, flags=re.DOTALL))
        assert not re.search(r"url\((?!#)|@import|expression\(", styles), name


def test_hostile_names_are_texts(written: Written) -> None:
    """The elements of a page are those that a plain page has, and the attacks are there to be read."""
    plain, hostile = written("plain"), written("markup")
    known = {tag for page in pages(plain).values() for tag in page.tags}
    known |= {"noscript", "bdi", "small", "code", "em", "pattern", "details", "summary"}
    seen = ""
    for name, page in pages(hostile).items():
        assert set(page.tags) <= known, (name, set(page.tags) - known)
        seen += page.visible
    assert [text for text in MARKUP if text not in seen] == []
    assert MARK in seen


def test_a_template_language_in_a_name_is_not_spoken(written: Written) -> None:
    text = "".join(page.visible for page in pages(written("markup")).values())
    assert "{{ 7 * 7 }}{% raw %}alert(8)" in text


def test_the_bytes_that_end_an_element_are_never_bare_in_data(written: Written) -> None:
    for path in written("markup").rglob("*.html"):
        source = path.read_text("utf-8")
        for text in MARKUP:
            if "<" in text or '"' in text:
                assert text not in source, (path.name, text)


def test_hostile_names_in_a_model_card_are_no_markup(written: Written) -> None:
    cards = list(written("markup").rglob("*.md"))
    assert cards
    for card in cards:
        assert not re.search(r"<\s*/?\s*(script|img|svg|iframe|title|style|noscript)", card.read_text("utf-8"))


def test_hostile_names_in_figures_are_texts(written: Written) -> None:
    """A figure as a file is XML that a browser opens by itself, without the page's policy."""
    import xml.etree.ElementTree as ET

    drawn = list(written("markup").rglob("*.svg"))
    assert drawn
    for path in drawn:
        for element in ET.parse(path).iter():
            assert element.tag.rpartition("}")[2] not in {"script", "foreignObject", "image", "a", "iframe"}, path
            assert not [key for key in element.attrib if key.startswith("on")], path
