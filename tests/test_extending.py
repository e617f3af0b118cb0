"""What `docs/architecture.md` says of where to add things: one of each is added there and nowhere else, and works."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from segfair.audit import certainty
from segfair.audit.certainty import CohortScores
from segfair.audit.panel import Panel
from segfair.audit.result import AuditConfig, AuditResult
from segfair.fairness import LevelMeans, highest, lowest
from segfair.files.images import masks
from segfair.files.images.grids import Mask
from segfair.protocol.rules import load_protocol
from segfair.report import audit as audit_page
from segfair.report import files
from segfair.report.audit import page_data
from segfair.report.parts import Data, number_column, table
from segfair.scoring import metrics, pairs, scores
from tests.report.pages import Page
from tests.report_fixtures import make_result


def test_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    jaccard_distance = metrics.Metric("jaccard_distance", "", "lower", "1-iou", "both empty: nan; one empty: 1")
    known = MappingProxyType({**metrics.METRICS, "jaccard_distance": jaccard_distance})
    for module in (metrics, scores, pairs):
        if hasattr(module, "METRICS"):
            monkeypatch.setattr(module, "METRICS", known)
    monkeypatch.setitem(pairs._OVERLAP, "jaccard_distance", lambda pair: 1 - metrics.iou(pair))
    protocol = load_protocol("default").replace(metrics=("dsc", "jaccard_distance"))
    label = np.zeros((4, 4, 4), dtype=np.uint8)
    label[1:3, 1:3, 1:3] = 1
    prediction = label.copy()
    prediction[1, 1, 1] = 0
    found = pairs.score_pair(label, prediction, spacing_mm=(1.0, 1.0, 1.0), protocol=protocol)
    assert found.values["jaccard_distance"] == pytest.approx(1 / 8)


def test_a_score_of_fairness(monkeypatch: pytest.MonkeyPatch) -> None:
    def ratio(means: LevelMeans) -> np.ndarray:
        return lowest(means) / highest(means)

    variant = certainty._Variant("ratio", "minimum / maximum", "min_g D_g / max_g D_g", "", "lower", 1.0, 0.0, ratio)
    monkeypatch.setattr(certainty, "_VARIANTS", (*certainty._VARIANTS, variant))
    panel = Panel.of_result(make_result())
    found = CohortScores.of(panel, panel.attributes).variants()
    name = next(entry.attribute for entry in found if entry.name == "ratio")
    attribute = panel.attributes[name]
    means = [
        panel.scores["dsc"][attribute.codes == code].mean()
        for code in range(len(attribute.levels))
        if (attribute.codes == code).sum() >= panel.config.judging.min_cases
    ]
    value = next(entry.value for entry in found if (entry.name, entry.attribute) == ("ratio", name))
    assert value == pytest.approx(min(means) / max(means))


BLOCK = """{% import "macros.html.j2" as m -%}
<section id="sizes" aria-labelledby="sizes-title">
{{ m.heading(page, "sizes") }}
{{ m.table(page.sections.sizes) }}
</section>
"""


def test_a_section_of_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def size_section(result: AuditResult) -> Data:
        rows = [[entry.name, str(len(entry.levels))] for entry in result.attributes.facts]
        return table("Sizes of attributes", ["Attribute", number_column("Levels")], rows)

    # The function, its line in `page_data`, and its title.
    known = {**vars(audit_page), "size_section": size_section}
    last = '"inputs": input_section(result),'
    source = inspect.getsource(audit_page.page_data)
    assert source.count(last) == 1
    exec(source.replace(last, f'{last} "sizes": size_section(result),'), known)
    monkeypatch.setitem(audit_page._TITLES, "sizes", "How many levels")
    # The block, and the line that includes it.
    folder = Path(shutil.copytree(files.template_folder(), tmp_path / "templates"))
    (folder / "sizes.html.j2").write_text(BLOCK)
    last = '{% include "method.html.j2" %}\n'
    report = (folder / "report.html.j2").read_text("utf-8")
    assert report.count(last) == 1
    (folder / "report.html.j2").write_text(report.replace(last, f'{last}{{% include "sizes.html.j2" %}}\n'), "utf-8")
    monkeypatch.setattr(files, "template_folder", lambda: folder)

    result = make_result(n_cases=8, levels={"sex": ("f", "m"), "site": ("A", "B", "C")})
    plain, page = page_data(result, written="today"), known["page_data"](result, written="today")
    assert page["contents"] == [*plain["contents"], {"id": "sizes", "title": "How many levels"}]
    drawn = Page(files.render_page(page))
    assert drawn.attributes.count(("section", "id", "sizes")) == 1
    assert "How many levels Sizes of attributes Attribute Levels sex 2 site 3" in drawn.visible
    assert all(("section", "id", entry["id"]) in drawn.attributes for entry in plain["contents"]), "all others stay"


def test_a_file_format(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def read(path, role, within=None):
        if path.suffix == ".txt":
            return Mask(np.loadtxt(path, dtype=np.uint8), np.eye(4), has_size=False)
        return original(path, role, within)

    original = masks._read_format
    monkeypatch.setattr(masks, "MASK_SUFFIXES", (*masks.MASK_SUFFIXES, ".txt"))
    monkeypatch.setattr(masks, "_read_format", read)
    (tmp_path / "case.txt").write_text("0 1\n1 1\n")
    assert masks.mask_stem("case.txt") == "case"
    assert masks.read_mask(tmp_path / "case.txt").array.tolist() == [[0, 1], [1, 1]]


def test_a_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from segfair.mitigation.training import catalogue
    from segfair.mitigation.training.strategies import kinds
    from segfair.mitigation.training.strategies.strategy import Strategy
    from tests.mitigation.toy_training import context

    class Rare(Strategy):
        """Draws the last case only."""

        def probabilities(self) -> np.ndarray:
            return np.eye(n_cases)[-1]

    entry = catalogue.StrategyEntry("draws the last case only", "sampling")
    monkeypatch.setattr(kinds, "STRATEGIES", {**catalogue.STRATEGIES, "rare": entry})
    monkeypatch.setitem(kinds._KINDS, "rare", Rare)
    toy = context()
    n_cases = len(toy.training.case_ids)
    assert kinds.make_strategy("rare", toy).probabilities().tolist() == [0.0] * (n_cases - 1) + [1.0]


def test_settings_travel_as_values() -> None:
    config = AuditConfig(load_protocol("default"), seed=3, bootstrap=200)
    assert (config.resampling.seed, config.resampling.draws) == (3, 200)
    first, again = (config.resampling.stream("a").random() for _ in range(2))
    assert first == again != config.resampling.stream("b").random()
