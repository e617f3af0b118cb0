"""The table of strategies: complete, one sentence a rule, and to be had without torch."""

from __future__ import annotations

import subprocess
import sys

from segfair.mitigation.training.catalogue import BASELINE, STRATEGIES
from segfair.mitigation.training.strategies import kinds
from segfair.mitigation.training.strategies.feedback import Following


def test_every_name_has_a_class_of_its_own() -> None:
    assert list(kinds._KINDS) == list(STRATEGIES)
    assert len(set(kinds._KINDS.values())) == len(STRATEGIES)


def test_whose_divergences_a_strategy_follows_is_what_its_class_does() -> None:
    follows = {name: kind.follows if issubclass(kind, Following) else None for name, kind in kinds._KINDS.items()}
    assert follows == {name: entry.feedback for name, entry in STRATEGIES.items()}


def test_only_the_plain_model_takes_hold_nowhere() -> None:
    assert [name for name, entry in STRATEGIES.items() if entry.hook == "none"] == [BASELINE]


def test_a_rule_is_one_sentence_that_fits_into_a_table() -> None:
    for name, entry in STRATEGIES.items():
        assert 20 < len(entry.rule) <= 200, name
        assert not entry.rule.endswith("."), name
        assert not set("|`\n") & set(entry.rule + entry.paper), name


def test_help_texts_can_read_it_without_torch() -> None:
    code = "import sys, segfair.mitigation.training.catalogue; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
