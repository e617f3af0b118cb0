"""The summary's messages: all of them gathered, translated with the same values, compiled; numbers of each language."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.checkers import python_format
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from segfair.errors import ConfigError
from segfair.report.signing import language as signing_language
from segfair.report.signing.language import DOMAIN, LOCALES, language_of
from segfair.subgroups.lattice import Subgroup

ROOT = Path(__file__).resolve().parents[3]
GERMAN = LOCALES / "de" / "LC_MESSAGES"
KEYWORDS = {"say": None, "say_n": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}


def gathered() -> set[str]:
    """The messages of code and template, as `make catalogue` gathers them."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in mappings]
    found = set()
    for folder in ("src/segfair/report/signing", "templates"):
        for _, _, message, _, _ in extract_from_dir(
            ROOT / folder,
            [(pattern.removeprefix(f"{folder}/"), method) for pattern, method in methods if pattern.startswith(folder)],
            keywords=KEYWORDS,
        ):
            found.add(message[0] if isinstance(message, tuple) else message)
    return found


def german() -> Catalog:
    with (GERMAN / f"{DOMAIN}.po").open("rb") as file:
        return read_po(file, locale="de")


def test_the_catalogue_holds_every_message_and_no_other() -> None:
    listed = {entry.id[0] if entry.pluralizable else entry.id for entry in german() if entry.id}
    assert len(listed) > 100
    assert listed == gathered()


def test_every_message_in_the_code_is_a_text_that_can_be_gathered() -> None:
    spoken = []
    for path in Path(signing_language.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("say"):
                texts = node.args[: 2 if node.func.attr == "say_n" else 1]
                assert all(isinstance(text, ast.Constant) for text in texts), (path.name, node.lineno)
                spoken += [text.value for text in texts[:1] if isinstance(text, ast.Constant)]
    assert len(spoken) > 80
    assert set(spoken) <= gathered()


def test_every_translation_is_there_with_the_values_of_its_message() -> None:
    catalogue = german()
    for entry in catalogue:
        if not entry.id:
            continue
        texts = entry.string if entry.pluralizable else (entry.string,)
        assert all(texts), entry.id
        assert not entry.fuzzy, entry.id
        if entry.python_format:
            python_format(catalogue, entry)  # raises where placeholders differ


def test_the_compiled_catalogue_is_that_of_its_source() -> None:
    with (GERMAN / f"{DOMAIN}.mo").open("rb") as stream:
        compiled = read_mo(stream)
    texts = [
        {tuple(entry.id) if entry.pluralizable else entry.id: tuple(entry.string) for entry in catalogue if entry.id}
        for catalogue in (compiled, german())
    ]
    assert texts[0] == texts[1], "compile it anew with `make catalogue`"
    assert compiled.plural_forms == german().plural_forms


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", ["0.621", "1,506", "+0.05", "−2.5", "–", "0.05"]),
        ("de", ["0,621", "1.506", "+0,05", "−2,5", "–", "0,05"]),
    ],
)
def test_numbers_are_written_as_in_the_language(code: str, expected: list[str]) -> None:
    words = language_of(code)
    assert [
        words.number(0.6211),
        words.count(1506),
        words.number(0.05, 2, signed=True),
        words.number(-2.5, 1),
        words.number(None),
        words.plain(0.05),
    ] == expected


def test_a_number_decides_the_form() -> None:
    one, many = "The report raises %(count)s alert; read it before you sign.", (
        "The report raises %(count)s alerts; read them before you sign."
    )  # fmt: skip
    assert [language_of("de").say_n(one, many, count)[:32] for count in (1, 2000)] == [
        "Der Bericht enthält 1 Warnhinwei",
        "Der Bericht enthält 2.000 Warnhi",
    ]


def test_groups_are_named_in_words_and_long_lists_are_cut() -> None:
    words = language_of("en")
    group = Subgroup(frozenset({("breast_density", "d"), ("age_group", "41-50")}))
    assert words.group(group) == "age group = 41-50 and breast density = d"
    assert language_of("de").group(group) == "age group = 41-50 und breast density = d"
    assert words.group(Subgroup(frozenset())) == "all cases"
    assert words.listed(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert words.listed([]) == ""


def test_a_level_may_hold_a_per_cent_sign() -> None:
    group = Subgroup(frozenset({("fat", "50 %(x)s"), ("sex", "f")}))
    assert language_of("en").group(group) == "fat = 50 %(x)s and sex = f"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'fr': there is no such catalogue; there are en, de"):
        language_of("fr")
