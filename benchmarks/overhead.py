"""What a strategy costs beyond plain training: the time in its own methods, in the same run.

    python benchmarks/overhead.py [BUS-BRA-FOLDER] [--epochs 4]

Two trainings of the same program differ by several per cent of themselves on a busy machine, so no second training is
compared. Timed are the making of the strategy (which mines the lattice), every method of it that the loop calls, and
the Dice of each batch, which is taken only for strategies that watch it; a weight's product inside the loss is not told
apart. Plain training with the same validation is all the rest of that run. CPU seconds, one thread; the embedded
cohort of setting H33 in memory, and one split of BUS-BRA from its files.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is there

STRATEGIES = ("erm", "adaptive-sampling", "divergence-sampling", "fairmedseg", "groupdro", "febs", "balanced-tempered")
TIMED = ("prepare", "probabilities", "observe", "observe_dice", "needs_training_scores", "update", "facts", "remarks")


class Stopwatch:
    """CPU time within some methods of an object, those that they call counted once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def watch(self, owner: Any, name: str) -> None:
        """Replaces a method of an object by one that is timed."""
        setattr(owner, name, self.timed(getattr(owner, name)))

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time taken."""

        def called(*args: Any, **keywords: Any) -> Any:
            self._depth += 1
            started = time.process_time()
            try:
                return function(*args, **keywords)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.process_time() - started

        return called


def watched(make: Callable[..., Any], stopwatch: Stopwatch) -> Callable[..., Any]:
    """The maker of strategies, its own time and that of their methods taken."""

    def made(*args: Any, **keywords: Any) -> Any:
        strategy = stopwatch.timed(make)(*args, **keywords)
        for name in TIMED:
            stopwatch.watch(strategy, name)
        return strategy

    return made


def embedded(strategy: str, epochs: int) -> None:
    """Trains the embedded cohort of setting H33."""
    import fairness

    fairness.run_seed(fairness.BLOCKS[0], 3, [strategy], dataclasses.replace(fairness.Setting(), epochs=epochs))


def real(data: Path, cache: Path, strategy: str, epochs: int) -> None:
    """Trains one split of BUS-BRA."""
    import real as busbra

    from segfair.mitigation.experiment.procedure import MitigationSettings, run_mitigation

    chosen = {**busbra.SETTINGS, **busbra.BUDGET, "splits": None, "strategies": (strategy,), "epochs": epochs}
    with tempfile.TemporaryDirectory() as folder:
        run_mitigation(MitigationSettings(Path(folder) / "out", data, baseline=False, cache=cache, **chosen))


def shares(train: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of a training's loop, and of them those that the strategy adds."""
    from segfair.mitigation.experiment import trainings
    from segfair.mitigation.training import loop, state
    from segfair.mitigation.training.strategies import kinds

    of_loop, of_strategy = Stopwatch(), Stopwatch()
    with ExitStack() as stack:
        for module, name, found in (
            (kinds, "make_strategy", watched(kinds.make_strategy, of_strategy)),
            (trainings, "make_strategy", watched(kinds.make_strategy, of_strategy)),
            (state, "case_dice", of_strategy.timed(state.case_dice)),
            (loop, "fit", of_loop.timed(loop.fit)),
            (trainings, "fit", of_loop.timed(loop.fit)),
        ):
            stack.enter_context(mock.patch.object(module, name, found))
        train()
    return of_loop.seconds, of_strategy.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get("SEGFAIR_BUSBRA"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--cache", type=Path, help="prepared images of an earlier call")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    given = parser.parse_args()
    print("| cohort | strategy | training, CPU s | of it the strategy's own | beyond plain training |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        cohorts: dict[str, Callable[[str], None]] = {"embedded": lambda name: embedded(name, given.epochs)}
        if given.data is not None:
            cohorts["BUS-BRA"] = lambda name: real(given.data, given.cache or Path(scratch), name, given.epochs)
        for cohort, train in cohorts.items():
            for name in given.strategies:
                whole, own = shares(lambda train=train, name=name: train(name))
                print(
                    f"| {cohort} | {name} | {whole:.1f} | {own:.2f} | {100 * own / (whole - own):.1f} % |", flush=True
                )


if __name__ == "__main__":
    main()
