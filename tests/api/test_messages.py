"""Messages of the command line in terms of Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import segfair
from segfair.api.messages import in_python, python_terms
from segfair.errors import ConfigError, InputError


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("--primary age: not an attribute of this audit", "primary=age: not an attribute of this audit"),
        (
            "mend them, or choose --missing-prediction worst or drop",
            "mend them, or choose missing_prediction=worst or drop",
        ),
        (
            "name them with --cases FILE (ids) or --where EXPRESSION;",
            "name them with cases=FILE (ids) or where=EXPRESSION;",
        ),
        ("give the size with --spacing X Y [Z]", "give the size with spacing=(X, Y, Z)"),
        (
            "give the size with --spacing X Y, or ask for hd95_px",
            "give the size with spacing=(X, Y), or ask for hd95_px",
        ),
        ("choose with --label, for example --label any", "choose with label, for example label=any"),
        ("say so with --lower-is-better, else", "say so with lower_is_better, else"),
        ("--max-items 0: a combination has", "max_items=0: a combination has"),
        ("column a--b has no --- in it", "column a--b has no --- in it"),
    ],
)
def test_options_become_keywords(said: str, meant: str) -> None:
    assert in_python(said) == meant


def test_no_message_of_the_rooms_below_keeps_an_option() -> None:
    """Each text of the source that names an option, of whatever room the calls reach."""
    source = Path(segfair.__file__).parent
    rooms = ("audit", "attributes", "compare", "files", "intake", "rank", "scoring", "subgroups")
    texts = [
        text
        for room in rooms
        for path in (source / room).rglob("*.py")
        for text in re.findall(r'f?"([^"\n]*--[a-z][^"\n]*)"', path.read_text("utf-8"))
    ]
    assert len(texts) > 50
    assert not [text for text in map(in_python, texts) if re.search(r"(?<![\w-])--[a-z]", text)]


def test_an_error_keeps_its_type_and_its_cause() -> None:
    with pytest.raises(ConfigError, match=r"^max_items=0: ") as refused, python_terms():
        raise ConfigError("--max-items 0: a combination has at least one attribute")
    assert isinstance(refused.value.__cause__, ConfigError)
    untouched = InputError("labels: are empty")
    with pytest.raises(InputError) as same, python_terms():
        raise untouched
    assert same.value is untouched
