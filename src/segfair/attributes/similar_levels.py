"""Levels of one attribute whose names are nearly the same. Proposes only: nothing is joined here.

Careful by intent, because a false alarm on a clean table costs more than a miss: signs, digits and short words always
tell levels apart (`ER+` and `ER-`, `T1` and `T2`, `< 40` and `> 40`), and so does one letter for another
(`abduction` and `adduction`).
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Collection

import numpy as np

from segfair.attributes.binning import fold
from segfair.attributes.fit import Attribute

__all__ = ["are_similar", "same_when_cut", "similar_levels"]

_DASHES = re.compile(r"[‐‑‒–—−]")
# A hyphen joins words (`non-small`, `HER-2`); anywhere else it may be a sign or a range (`ER-`, `41-50`).
_HYPHEN = re.compile(r"(?<=[^\W\d_])\s*-\s*(?=[^\W\d_])|(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])")
_SEPARATORS = re.compile(r"[\s.,;:()\[\]{}\"'‘’“”/\\_&]+")
_WORDS = re.compile(r"[^\W_]+|[-+<>≤≥=≠±%?*~#]")
# Shorter words are too often one letter apart and both right (`medial`, `medical`; `myoma`, `myxoma`).
_SHORTEST_WORD = 7
_SHORTEST_NAME = 3
_SHORTEST_BEGINNING = 6
_MOST_LEVELS = 200


def similar_levels(attribute: Attribute, texts: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of levels that may be one, each with its most frequent level first.

    Args:
        attribute: An attribute. Levels without a case are passed over.
        texts: Folded texts of its column: a level that is none of them (a range, a group) has no spelling.
    """
    counts = np.bincount(attribute.codes[attribute.codes >= 0], minlength=len(attribute.levels))
    frequency = {
        level: int(count)
        for level, count in zip(attribute.levels, counts, strict=True)
        if count and fold(level) in texts
    }
    levels = list(frequency)
    if len(levels) > _MOST_LEVELS:
        return ()
    group_of = {level: {level} for level in levels}
    for one, other in itertools.combinations(levels, 2):
        if are_similar(one, other, among=levels):
            merged = group_of[one] | group_of[other]
            group_of |= dict.fromkeys(merged, merged)
    groups = {id(group): group for group in group_of.values() if len(group) > 1}
    return tuple(tuple(sorted(group, key=lambda level: (-frequency[level], level))) for group in groups.values())


def are_similar(one: str, other: str, *, among: Collection[str] = ()) -> bool:
    """Whether two names are nearly the same.

    They are where only punctuation, white space or accents differ; where one word of at least seven letters has one
    letter more, or two letters exchanged; and where one begins the other before a slash.

    Args:
        one: Name of a level.
        other: Name of another level of its attribute.
        among: All its levels: what other levels are made of, too, is no second name of this one.
    """
    if _bare(one) == _bare(other):
        return bool(_bare(one))
    return _differ_by_a_slip(one, other) or _begins(one, other, among) or _begins(other, one, among)


def same_when_cut(attribute: Attribute, cut: Callable[[str], str]) -> tuple[tuple[str, ...], ...]:
    """Groups of levels with cases that look the same once they are cut."""
    shown: dict[str, list[str]] = {}
    for code in np.unique(attribute.codes[attribute.codes >= 0]):
        shown.setdefault(cut(attribute.levels[code]), []).append(attribute.levels[code])
    return tuple(tuple(levels) for levels in shown.values() if len(levels) > 1)


def _plain(name: str) -> str:
    """Folded, with one kind of dash and no accents; a mark on a sign (`≠`) stays."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFKD", fold(name)):
        if not (unicodedata.combining(character) and kept and kept[-1].isalpha()):
            kept.append(character)
    return _DASHES.sub("-", "".join(kept))


def _bare(name: str) -> str:
    """A name without what separates words; between digits it stays, for `1.5` is not `15`."""

    def between(separator: re.Match[str]) -> str:
        sides = text[separator.start() - 1 : separator.start()], text[separator.end() : separator.end() + 1]
        return (separator[0].strip() or " ") if all(side.isdigit() for side in sides) else ""

    text = _HYPHEN.sub("", _plain(name))
    bare = _SEPARATORS.sub(between, text)
    # Of a letter or two every mark counts: blood group A/B is not AB.
    return bare if sum(map(str.isalnum, bare)) >= _SHORTEST_NAME else "".join(fold(name).split())


def _differ_by_a_slip(one: str, other: str) -> bool:
    words = [_WORDS.findall(_HYPHEN.sub(" ", _plain(name))) for name in (one, other)]
    if len(words[0]) != len(words[1]):
        return False
    differing = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and _is_slip(*differing[0])


def _is_slip(one: str, other: str) -> bool:
    """Whether one word is the other with a letter left out inside it, or with two neighbours exchanged."""
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST_WORD or not (short.isalpha() and long.isalpha()) or short[0] != long[0]:
        return False
    begin = next((place for place, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) == len(long):
        swapped = short[begin : begin + 2][::-1] == long[begin : begin + 2]
        return swapped and short[begin + 2 :] == long[begin + 2 :]
    # A letter more at the end is another word or class (`stageii`, `stageiii`; `patella`, `patellar`).
    return begin < len(short) and short[begin:] == long[begin + 1 :]


def _begins(one: str, other: str, among: Collection[str]) -> bool:
    """Whether a slash leads from one name to the other (`hawaian`, `hawaiian/pacific islander`).

    Not where a name with a slash is a combination: where its other part is a level (`ductal`, `lobular`,
    `ductal/lobular`), or where an exact beginning is not the only one with a slash.
    """
    first, slash, rest = _plain(other).partition("/")
    name = _plain(one)
    if not slash or not rest.strip() or len(name) < _SHORTEST_BEGINNING or not name.replace(" ", "").isalpha():
        return False
    parts = {_bare(part) for part in rest.split("/")}
    if any(_bare(level) in parts for level in among):
        return False
    if _bare(name) == _bare(first):
        return sum("/" in level for level in among) <= 1
    return _differ_by_a_slip(name, first)
