"""Faults put in one after the other, what the tests say to each, and a file that knows it."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.forked import Outcome, Record, fault, limit_of, mirrored, run_collected, run_tests
from tests.mutation.live import Functions
from tests.mutation.mutants import ROOMS, Mutant
from tests.mutation.table import reasons

__all__ = ["Trial", "place"]

Found = dict[str, Any]
Place = tuple[str, int, str, str]


def place(mutant: Mutant) -> Place:
    """What tells a fault from every other of the same sources."""
    return mutant.module, mutant.line, mutant.operator, mutant.after


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of many faults.

    Args:
        package: The copy that they are put into.
        scratch: Where `results.jsonl` lies, a fault a line.
        record: Which tests run which lines.
        again: Whether what was not noticed, and has no reason yet, is tried once more.
        others_s: How long a fault is shown to tests of other modules, in processor time.
    """

    package: Path
    scratch: Path
    record: Record
    again: bool
    others_s: float

    def in_imported(self, drawn: Sequence[Mutant], items: Sequence[pytest.Item]) -> None:
        """Those faults that can be put into what is imported. `items` are all tests."""
        functions = Functions(self.package)
        by_id = {item.nodeid: item for item in items}
        (self.scratch / "collected.json").write_text(json.dumps(list(by_id)), "utf-8")
        # What lives now is shared with all children.
        gc.freeze()
        for mutant in self._open(drawn):
            path = self.package / mutant.module
            put_in = functions.patch(path, path.read_text("utf-8"), mutant.source)
            if put_in is not None:
                asked = self._asked(mutant, list(by_id))
                chosen = [by_id[test] for test in asked if test in by_id]
                limit_s = limit_of(asked, self.record.seconds)
                with fault(path, mutant.source):
                    self._note(mutant, run_collected(chosen, self.package, self.scratch, limit_s, put_in))

    def in_fresh(self, drawn: Sequence[Mutant]) -> None:
        """All other faults: segfair is imported anew for each. Comes after `in_imported`, which collects the tests."""
        collected = json.loads((self.scratch / "collected.json").read_text("utf-8"))
        for mutant in self._open(drawn):
            asked = self._asked(mutant, collected)
            with fault(self.package / mutant.module, mutant.source):
                self._note(mutant, run_tests(asked, self.package, self.scratch, known=self.record.seconds))

    def done(self) -> dict[Place, Found]:
        """What is known of faults, by their places."""
        path = self.scratch / "results.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return {(one["module"], one["line"], one["operator"], one["after"]): one for one in map(json.loads, lines)}

    def _open(self, drawn: Sequence[Mutant]) -> list[Mutant]:
        done, why = self.done(), reasons()
        return [
            mutant
            for mutant in drawn
            if place(mutant) not in done
            or (self.again and done[place(mutant)]["ended"] == "passed" and mutant.key not in why)
        ]

    def _asked(self, mutant: Mutant, collected: Sequence[str]) -> list[str]:
        """The tests of the record; after the module's own those of its room that the record does not know yet."""
        recorded = self.record.for_line(mutant.module, mutant.line, others_s=self.others_s)
        own = mirrored(mutant.module)
        room = next(f"tests/{room}/" for room in ROOMS if mutant.module.startswith(f"{room}/"))
        new = [test for test in collected if test.startswith(room) and test not in self.record.seconds]
        return sorted([*recorded, *new], key=lambda test: (not test.startswith(f"{own}::"), test not in new))

    def _note(self, mutant: Mutant, outcome: Outcome) -> None:
        facts = {name: getattr(mutant, name) for name in ("module", "operator", "line", "before", "after")}
        found = {**facts, "ended": outcome.ended, "by": outcome.by, "cpu_s": round(outcome.cpu_s, 1)}
        # A later line of the same fault counts.
        with (self.scratch / "results.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(found) + "\n")
        print(f"{mutant.module}:{mutant.line} {outcome.ended} {outcome.by} {outcome.cpu_s:.1f} s", flush=True)
        if outcome.ended == "passed":
            print(f"  - {mutant.before}\n  + {mutant.after}", flush=True)
