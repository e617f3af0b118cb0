"""The language of the summary: its messages, from one gettext catalogue, and numbers as they are written in it.

English is the language of the source; every other one is a catalogue in `locale/`, which `make catalogue` compiles.
"""

from __future__ import annotations

import functools
import gettext
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from segfair.audit.words import clean, format_number
from segfair.errors import ConfigError
from segfair.subgroups.lattice import Item, Subgroup

__all__ = ["DOMAIN", "LOCALES", "Language", "LanguageCode", "language_of"]

LanguageCode = Literal["en", "de"]
DOMAIN = "signing"
LOCALES = Path(__file__).resolve().parent / "locale"
_DECIMAL_COMMA = str.maketrans(",.", ".,")
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language.

    Attributes:
        code: As in the `lang` of a page.
        catalogue: Its messages.
        decimal_comma: Whether a comma stands before the decimals, and points between thousands.
    """

    code: LanguageCode
    catalogue: gettext.NullTranslations
    decimal_comma: bool = False

    def say(self, message: str, **values: object) -> str:
        """A message with its values; a per cent sign is written twice."""
        return self.catalogue.gettext(message) % values

    def say_n(self, one: str, many: str, count: int, **values: object) -> str:
        """A message in the form that a number takes; `%(count)s` is the number."""
        return self.catalogue.ngettext(one, many, count) % {"count": self.count(count), **values}

    def number(self, value: float | None, digits: int = 3, *, signed: bool = False) -> str:
        """A number with fixed decimals."""
        text = format_number(value, digits, signed=signed)
        return text.translate(_DECIMAL_COMMA) if self.decimal_comma else text

    def plain(self, value: float) -> str:
        """A number with the decimals that it was written with: 0.05, 150."""
        text = f"{value:g}"
        return text.translate(_DECIMAL_COMMA) if self.decimal_comma else text

    def count(self, count: int) -> str:
        """A whole number."""
        return self.number(count, 0)

    def group(self, subgroup: Subgroup) -> str:
        """A subgroup in words: `age group = 41-50 and breast density = d`."""
        return self.listed([self.item(item) for item in sorted(subgroup.items)]) or self.say("all cases")

    def item(self, item: Item) -> str:
        """An attribute with its level; a column's underscores are blanks."""
        return f"{self.attribute(item[0])} = {clean(item[1], length=_NAME_LENGTH)}"

    def attribute(self, name: str) -> str:
        """The name of a column as it is read."""
        return clean(name, length=_NAME_LENGTH).replace("_", " ")

    def listed(self, names: Sequence[str], *, most: int = 6) -> str:
        """The first names, and how many more there are; empty for none."""
        shown = list(names[:most])
        if len(shown) < len(names):
            shown.append(self.say_n("%(count)s more", "%(count)s more", len(names) - len(shown)))
        if len(shown) < 2:
            return "".join(shown)
        return self.say("%(first)s and %(last)s", first=", ".join(shown[:-1]), last=shown[-1])


@functools.cache
def language_of(code: str) -> Language:
    """The language of a code.

    Raises:
        ConfigError: There is no catalogue of it.
    """
    if code == "en":
        return Language("en", gettext.NullTranslations())
    if code == "de":
        return Language("de", gettext.translation(DOMAIN, LOCALES, languages=["de"]), decimal_comma=True)
    raise ConfigError(f"language {code!r}: there is no such catalogue; there are {', '.join(get_args(LanguageCode))}")
