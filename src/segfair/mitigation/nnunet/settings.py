"""What the environment says about the draws; nnU-Net's command line hands nothing to a trainer. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from segfair.errors import ConfigError

__all__ = ["DrawSettings"]

_PREFIX = "SEGFAIR_"
_NAMES = ("SEGFAIR_WEIGHTS", "SEGFAIR_METADATA", "SEGFAIR_ATTRIBUTES", "SEGFAIR_ID_COLUMN")


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """By which weights the training cases are drawn: exactly one of `weights` and `metadata` is given.

    Attributes:
        weights: Table of `segfair weights`; the weights stay as they are.
        metadata: Table of the training cases; the weights follow their running Dice.
        attributes: Columns of `metadata` that are used; None: every usable one.
        id_column: Column of `metadata` with the case ids; None: the one that holds most of them.
    """

    weights: Path | None = None
    metadata: Path | None = None
    attributes: tuple[str, ...] | None = None
    id_column: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> DrawSettings:
        """The settings of variables that begin with SEGFAIR_; an empty one counts as not set.

        Others that begin so are somebody else's, unless one looks like a misspelling.

        Raises:
            ConfigError: Neither or both kinds of weights, or a variable that is misspelt or would do nothing.
        """
        given = {name: text.strip() for name, text in environment.items() if name.startswith(_PREFIX) and text.strip()}
        for name in given:
            if name not in _NAMES:
                _refuse_misspelt(name)
        weights, metadata, attributes, id_column = (given.get(name) for name in _NAMES)
        if bool(weights) == bool(metadata):
            raise ConfigError(
                f"nnU-Net's draws: {'both' if weights else 'none'} of SEGFAIR_WEIGHTS and SEGFAIR_METADATA set; set "
                "SEGFAIR_WEIGHTS=weights.csv to draw by what segfair weights wrote, or SEGFAIR_METADATA=metadata.csv "
                "to draw by the running Dice of the training cases"
            )
        if weights and (attributes or id_column):
            raise ConfigError("SEGFAIR_ATTRIBUTES and SEGFAIR_ID_COLUMN say how SEGFAIR_METADATA is read; unset them")
        return cls(
            weights=Path(weights) if weights else None,
            metadata=Path(metadata) if metadata else None,
            attributes=tuple(name.strip() for name in (attributes or "").split(",") if name.strip()) or None,
            id_column=id_column,
        )


def _refuse_misspelt(name: str) -> None:
    # The prefix is left out: what all have in common would make any name look like any other.
    ends = [known.removeprefix(_PREFIX) for known in _NAMES]
    close = get_close_matches(name.removeprefix(_PREFIX), ends, n=1)
    if close:
        raise ConfigError(f"{name}: not known (did you mean {_PREFIX}{close[0]}?); there are {', '.join(_NAMES)}")
