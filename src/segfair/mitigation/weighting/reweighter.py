"""From validation scores to the case weights of the next epoch, for any training loop.

Imports no torch; ignite only where a handler is attached.

    reweighter = DivergenceReweighter(validation_table, training_table)
    sampler = reweighter.sampler(seed=0)               # DataLoader(dataset, sampler=sampler, batch_size=...)
    for epoch in range(epochs):
        ...train on the sampler's cases, validate...
        reweighter.update({case_id: dice})             # the sampler's next epoch follows the new weights

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation. 2025
    (FairMedSeg), Eqs. 1 and 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.words import plural
from segfair.errors import ConfigError, InputError
from segfair.mitigation.weighting.balance import balanced_weights
from segfair.mitigation.weighting.weights import (
    Aggregate,
    CaseWeights,
    Kind,
    Lattice,
    Memory,
    assign,
    bounded,
    cell_power,
    draw_cases,
    joint_codes,
    mean_one,
    mine_validation,
    necessity,
    reach_temperature,
    remember,
    spread_temperature,
    strengths,
    tilt,
)
from segfair.stats import Shrinkage, shrink
from segfair.subgroups.lattice import Subgroup, divergences

__all__ = ["ADAPTIVE", "CONFIDENT", "LITERAL", "TILTED", "CaseSampler", "DivergenceReweighter", "WeightRule"]


@dataclass(frozen=True, slots=True)
class WeightRule:
    """How divergences become case weights.

    Attributes:
        kind: |divergence| ("absolute", Eq. 2) or only what a subgroup lacks ("deficit").
        certainty: The divergence as measured ("raw", Eq. 2), pulled towards 0 by its noise ("shrunken"), or what is
            left of it `deviations` standard errors nearer to 0 ("bound").
        memory, rate: How strengths are carried over epochs, see `weights.remember`.
        aggregate: From the subgroups of a case to its value: "max" (Eq. 2), "mean", "shapley".
        temperature: The weight is exp(temperature * value); None takes the value itself; "auto" sets the
            temperature each epoch so that the most harmed case weighs `cap` times an unharmed one, up to `hottest`;
            "spread" so that a deficit of two standard deviations of the true divergences (the spread that is beyond
            noise) weighs `cap` times as much, up to `hottest`.
        normalise: Whether weights get mean 1, and 1 for a case in no subgroup and before the first validation. The
            literal equations do not; then those weights are 0.
        cap: Largest weight after scaling to mean 1; None for no bound.
        hottest: Bound of the temperature that sets itself.
        fallback: Whether cases of joint cells that are too small to be judged are drawn towards n^-1/2, as tempered
            balanced sampling does: to the share in which a gap of `MEANT` would be missed.
    """

    kind: Kind = "deficit"
    certainty: Literal["raw", "shrunken", "bound"] = "shrunken"
    deviations: float = 2.0
    memory: Memory = "ema"
    rate: float = 0.4
    aggregate: Aggregate = "max"
    temperature: float | Literal["auto", "spread"] | None = 5.0
    normalise: bool = True
    cap: float | None = 8.0
    hottest: float = 40.0
    fallback: bool = False

    def __post_init__(self) -> None:
        if not self.normalise and (self.temperature is not None or self.cap is not None or self.fallback):
            raise ConfigError(
                "weights: a temperature, a cap or a fallback needs weights of mean 1; set normalise = true"
            )
        ranges = (
            ("cap", self.cap is None or self.cap >= 1, "at least 1, for weights have a mean of 1"),
            ("rate", 0 < self.rate <= 1, "above 0 and at most 1"),
            ("hottest", self.hottest > 0, "above 0"),
            ("deviations", self.deviations >= 0, "at least 0"),
        )
        for name, holds, wanted in ranges:
            if not holds:
                raise ConfigError(f"weights: {name} has to be {wanted}, got {getattr(self, name):g}")
        if isinstance(self.temperature, str) and self.cap is None:
            raise ConfigError("weights: a temperature that sets itself needs a cap; set for example cap = 8")


TILTED = WeightRule()
"""exp(5 * moving average of the shrunken deficit), mean 1, at most 8."""

CONFIDENT = WeightRule(certainty="bound", memory="sum", rate=0.9, temperature="auto")
"""The most harmed case weighs 8 times an unharmed one as soon as its deficit exceeds two standard errors.

The temperature sets itself, so that a moderate deficit counts as much as a large one; the decaying sum keeps the
weight on a subgroup while it catches up.
"""

ADAPTIVE = WeightRule(certainty="bound", memory="none", temperature="spread", hottest=20.0, fallback=True)
"""For scores of training cases: deficits that are sure, hotter where they are small; balanced where cells are."""

MEANT, POWER = 0.1, 0.8
"""Gap of mean Dice that a cell should show, and how surely, to count as judged."""

LITERAL = WeightRule(kind="absolute", certainty="raw", memory="none", temperature=None, normalise=False, cap=None)
"""FairMedSeg's Eq. 2 to the letter."""


class DivergenceReweighter:
    """Case weights that follow subgroup divergences on validation cases.

    The lattice is mined once on the validation cases; training cases belong to the same itemsets by their items.

    Args:
        validation: Attributes of the cases that are scored each epoch.
        training: Attributes of the cases that are weighted.
        min_support: Smallest share of validation cases a subgroup needs.
        rule: How divergences become weights.
    """

    def __init__(
        self,
        validation: AttributeTable,
        training: AttributeTable,
        *,
        min_support: float = 0.001,
        rule: WeightRule = TILTED,
    ) -> None:
        self.rule = rule
        self.lattice = Lattice.over(mine_validation(validation, min_support=min_support)[0], training)
        self._memory: NDArray[np.float64] | None = None
        n_cases = len(training.case_ids)
        self.temperature: float | None = None
        self._cells = joint_codes(training)
        self._balanced = balanced_weights(training, exponent=0.5, over="cells")
        # Before anything is scored no cell is judged.
        self._unjudged = np.ones(n_cases) if rule.fallback else np.zeros(0)
        values = np.full(n_cases, 1.0 if rule.normalise else 0.0)
        if rule.fallback:
            values = mean_one(self._towards_balance(values), cap=rule.cap)
        self._weights = CaseWeights.of(training.case_ids, values)
        self.strength = np.zeros(len(self.lattice.mined))

    @property
    def weights(self) -> CaseWeights:
        """The weights for the next epoch.

        Before the first update they are 1, with a fallback those of tempered balanced sampling, and 0 for the literal
        equations.
        """
        return self._weights

    def update(self, scores: Mapping[str, float]) -> CaseWeights:
        """Takes the validation scores of one epoch (higher is better) and returns the weights for the next.

        Args:
            scores: Validation case id -> finite score; further ids are ignored.

        Raises:
            InputError: A validation case without a finite score.
        """
        ids = self.lattice.mined.case_ids
        missing = [case_id for case_id in ids if case_id not in scores or not np.isfinite(scores[case_id])]
        if missing:
            raise InputError(
                f"reweighter: {len(missing)} of {len(ids)} validation cases have no finite score, "
                f"for example {missing[0]}; every validation case must be scored each epoch"
            )
        return self.update_array(np.array([scores[case_id] for case_id in ids], dtype=np.float64))

    def update_array(self, outcome: NDArray[np.float64]) -> CaseWeights:
        """`update` for (n_validation,) finite scores in the order of the validation table."""
        rule, lattice = self.rule, self.lattice
        # Raw divergences need none of it, which on a large lattice is most of the work.
        found = functools.cache(functools.partial(shrink, lattice.mined.matrix, outcome))
        gaps = self._certain(outcome, found)
        self._memory = remember(self._memory, strengths(gaps, kind=rule.kind), memory=rule.memory, rate=rule.rate)
        self.strength = self._memory
        importance = necessity(lattice.mined, gaps, lattice.itemsets) if rule.aggregate == "shapley" else None
        assigned = assign(lattice.members, self._memory[lattice.rows], how=rule.aggregate, importance=importance)
        values = assigned.values
        self.temperature = self._temperature(values, found)
        if self.temperature is not None:
            values = tilt(values, self.temperature)
        if rule.fallback:
            self._unjudged = 1 - cell_power(self._cells, noise=found().noise, gap=MEANT)
            values = self._towards_balance(values)
        if rule.normalise:
            values = mean_one(values, outside=assigned.outside, cap=rule.cap)
        setters = [lattice.itemsets[row] if row >= 0 else None for row in assigned.setter]
        self._weights = CaseWeights.of(lattice.case_ids, values, setters)
        return self._weights

    def _temperature(self, values: NDArray[np.float64], found: Callable[[], Shrinkage]) -> float | None:
        rule = self.rule
        if rule.temperature == "auto":
            return reach_temperature(values, ratio=rule.cap or 1.0, largest=rule.hottest)
        if rule.temperature == "spread":
            return spread_temperature(found().signal, ratio=rule.cap or 1.0, largest=rule.hottest)
        return rule.temperature

    def _towards_balance(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        weighed: NDArray[np.float64] = values * self._balanced**self._unjudged
        return weighed

    def remarks(self) -> tuple[str, ...]:
        """In words, how many cases are weighted without a judgement of their own; empty without such a rule."""
        if not len(self._unjudged):
            return ()
        too_few = self._unjudged > 1 - POWER
        n_cells = len(np.unique(self._cells[too_few]))
        if not n_cells:
            return ()
        return (
            f"{plural(n_cells, 'cell')} of the attributes with {plural(int(too_few.sum()), 'case')} of "
            f"{len(too_few):,} are too small to be judged (a gap of {MEANT:g} of mean Dice would be missed more often "
            f"than in {100 * (1 - POWER):.0f} % of times): they are drawn towards n^-1/2 each, as balanced sampling "
            "does",
        )

    def _certain(self, outcome: NDArray[np.float64], found: Callable[[], Shrinkage]) -> NDArray[np.float64]:
        mined, rule = self.lattice.mined, self.rule
        if rule.certainty == "raw":
            return divergences(mined, outcome)
        shrunken = found()
        if rule.certainty == "shrunken":
            return shrunken.shrunken
        return bounded(shrunken.divergence, mined.sizes, len(outcome), noise=shrunken.noise, deviations=rule.deviations)

    def sampler(self, *, seed: int) -> CaseSampler:
        """A sampler for `torch.utils.data.DataLoader` that draws each epoch's cases by the current weights."""
        return CaseSampler(lambda: self._weights.array, len(self._weights), seed=seed)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on: plain lists and numbers."""
        return {
            "memory": None if self._memory is None else self._memory.tolist(),
            "weights": self._weights.array.tolist(),
            "setters": [
                None if setter is None else sorted(map(list, setter.items)) for setter in self._weights.setters
            ],
            "temperature": self.temperature,
            "unjudged": self._unjudged.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`.

        Raises:
            InputError: The state belongs to other cases or subgroups.
        """
        memory, weights = state["memory"], state["weights"]
        if len(weights) != len(self._weights):
            raise InputError(
                f"reweighter: the saved state has {len(weights)} training cases, this run {len(self._weights)}; "
                "resume with the same splits, attributes and minimum support"
            )
        if memory is not None and len(memory) != len(self.lattice.mined):
            raise InputError(
                f"reweighter: the saved state has {len(memory)} subgroups, this run {len(self.lattice.mined)}; "
                "resume with the same attributes, minimum support and cases to follow"
            )
        self._memory = None if memory is None else np.array(memory, dtype=np.float64)
        if self._memory is not None:
            self.strength = self._memory
        setters = [
            None if items is None else Subgroup(frozenset((attribute, level) for attribute, level in items))
            for items in state["setters"]
        ]
        self._weights = CaseWeights.of(self._weights.case_ids, np.array(weights, dtype=np.float64), setters)
        self.temperature = state["temperature"]
        self._unjudged = np.array(state.get("unjudged", self._unjudged), dtype=np.float64)

    def attach(self, evaluator: Any, *, metric: str, id_key: str = "id") -> None:
        """Updates the weights whenever a MONAI (Ignite) evaluator finishes, from the details of one of its metrics.

        For a `SupervisedTrainer` whose data loader uses `sampler`, with a `SupervisedEvaluator` that a
        `ValidationHandler` runs after each epoch.

        Args:
            evaluator: The evaluator; `metric` must be among its metrics, with details saved (MONAI's default).
            metric: The metric's name, for example "val_mean_dice".
            id_key: Where an item of the evaluator's data holds its case id.
        """
        from ignite.engine import Events

        seen: list[str] = []

        def forget(_engine: Any) -> None:
            seen.clear()

        def collect(engine: Any) -> None:
            batch = engine.state.batch
            # MONAI's engines have by now taken the batch apart into items, unless told not to.
            seen.extend(batch[id_key] if isinstance(batch, Mapping) else [item[id_key] for item in batch])

        def update(engine: Any) -> None:
            details = np.asarray(engine.state.metric_details[metric], dtype=np.float64)
            self.update(dict(zip(seen, details.reshape(len(details), -1).mean(axis=1).tolist(), strict=True)))

        evaluator.add_event_handler(Events.EPOCH_STARTED, forget)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, collect)
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, update)


class CaseSampler:
    """Positions of the cases of each epoch; every `iter` is the next epoch, and looks its weights up then.

    Args:
        probabilities: Gives (n_cases,) non-negative weights of any scale, or None for each case once.
        n_cases: Number of cases, and of draws an epoch.
        seed: The draws of an epoch depend on it and on the epoch only.
    """

    def __init__(self, probabilities: Callable[[], NDArray[np.float64] | None], n_cases: int, *, seed: int) -> None:
        self._probabilities = probabilities
        self._n_cases = n_cases
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._n_cases

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self.epoch])
        self.epoch += 1
        return iter(draw_cases(self._probabilities(), self._n_cases, rng).tolist())
