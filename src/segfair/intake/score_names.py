"""What the columns of other people's score tables measure, by their names: `Dice (%)`, `Hausdorff_95`.

Knows names only, no values. A name that nobody knows is not guessed at: the caller says aloud what it assumes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["ScoreName", "read_score_name"]

Direction = Literal["higher", "lower", "signed", "neither"]

_UNITS = re.compile(r"[(\[{]\s*(?P<unit>[^)\]}]*)\s*[)\]}]|(?P<sign>%)")
_PER_CENT = frozenset(("%", "percent", "per cent", "percentage", "pct", "in %", "in percent", "in per cent"))
# Words end where a small letter meets a capital (`DiceScore`), and before a unit glued to a number (`HD95mm`).
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=(?:mm|vox|px)(?![A-Za-z]))")
_SPREAD = frozenset(("std", "sd", "stddev", "stdev", "var", "variance", "sem", "ci"))
_LONG_FORMS = {
    "avg": "average",
    "abs": "absolute",
    "rel": "relative",
    "vol": "volume",
    "diff": "difference",
    "err": "error",
    "surf": "surface",
    "sym": "symmetric",
    "dist": "distance",
    "coef": "coefficient",
    "coeff": "coefficient",
    "sim": "similarity",
}
# Beside a metric they turn it round: `dice_error`, `1 - Dice`, `one_minus_iou`.
_INVERSE = frozenset(("error", "loss", "inverse"))
_ONE_MINUS = re.compile(r"\W*(1\s*[-\u2212\u2013]|one[\W_]*minus)\s*", re.IGNORECASE)
# Beside a metric they make another number of it, of which nobody knows what is better: `dice_diff`, `delta hd95`.
_CHANGE = frozenset(
    ("difference", "delta", "change", "improvement", "gain", "drop", "gap", "ratio", "rank", "zscore", "pvalue")
)
# Words that say how a metric was taken, not which one it is or of which region.
_IDLE = frozenset(
    (
        *("mean", "average", "score", "scores", "metric", "raw", "value", "case", "per"),
        *("val", "valid", "validation", "test", "eval", "in", "cent", "percent", "percentage", "pct"),
        *("mm", "vox", "voxel", "voxels", "px"),
    )
)
# Ours -> direction, whether it lies in [0, 1], and what others call it, without spaces and signs.
_KNOWN: Mapping[str, tuple[Direction, bool, str]] = {
    "dsc": (
        "higher",
        True,
        "dsc dice dicecoefficient dicecoef dicecoeff dicesimilarity dicesimilaritycoefficient dicesimilarityindex"
        " diceindex dicemetric sorensendice dicesorensen softdice globaldice globalbindsc f1 f1score meandice",
    ),
    "iou": (
        "higher",
        True,
        "iou jaccard ji jaccardindex jaccardcoefficient jaccardsimilarity jac miou intersectionoverunion globalbiniou",
    ),
    "normhd": (
        "lower",
        False,
        "normhd normalizedhd normalisedhd normhd95 normalizedhd95 normalisedhd95",
    ),
    "sensitivity": (
        "higher",
        True,
        "sensitivity recall rec tpr truepositiverate sens",
    ),
    "precision": (
        "higher",
        True,
        "precision prec ppv positivepredictivevalue",
    ),
    "nsd": (
        "higher",
        True,
        "nsd surfacedice surfacedsc normalizedsurfacedice normalisedsurfacedice normalizedsurfacedistance sdsc",
    ),
    "specificity": (
        "higher",
        True,
        "specificity spec tnr truenegativerate npv",
    ),
    "accuracy": (
        "higher",
        True,
        "accuracy acc balancedaccuracy auc auroc auprc",
    ),
    "similarity": (
        "higher",
        True,
        "volumesimilarity volumetricsimilarity vs cldice cldsc sq rq pq sqdsc pqdsc sqiou panopticquality"
        " lesionf1 lesionsq lesionpq",
    ),
    "agreement": (
        "higher",
        False,
        "kappa mcc ccc icc correlation",
    ),
    "lesion_missed": (
        "lower",
        True,
        "lesionmissed missed missedlesion missrate missedlesionrate",
    ),
    "false_lesions": ("lower", False, "falselesions falsepositivelesions"),
    "rate": (
        "lower",
        True,
        "fpr fnr fdr falsepositiverate falsenegativerate falsediscoveryrate falseomissionrate voe"
        " volumetricoverlaperror volumeoverlaperror ece expectedcalibrationerror brier brierscore",
    ),
    "hd95": (
        "lower",
        False,
        "hd95 95hd hausdorff95 95hausdorff hausdorffdistance95 hd95percentile hausdorff95percentile"
        " robusthausdorff hausdorff95thpercentile 95thpercentilehausdorff 95percentilehausdorff"
        " percentilehausdorff rhd hd95th",
    ),
    "distance": (
        "lower",
        False,
        "hd hd100 hausdorff hausdorffdistance maxhausdorff assd asd assdistance averagesurfacedistance"
        " averagesymmetricsurfacedistance avgsurfacedistance avgsymmetricsurfacedistance symmetricsurfacedistance"
        " meansurfacedistance msd masd surfacedistance averagehausdorff ahd averagehausdorffdistance avd90 cedi"
        " centerdistance centredistance sqassd sqhd sqhd95 distance dist"
        " averagesymmetricdistance averagedistance rmsd rmssurfacedistance mahalanobis mahalanobisdistance",
    ),
    "relative_volume_error": (
        "signed",
        False,
        "relativevolumeerror rve rvd relativevolumedifference volumedifference volumeerror volumebias bias sqrvd"
        " vd signedvolumeerror signedvolumedifference",
    ),
    "error": (
        "lower",
        False,
        "error err loss diceloss mae mse rmse avd avde ravd arvd arve rvae absrelativevolumeerror"
        " absolutevolumedifference absolutevolumeerror absoluterelativevolumeerror"
        " absoluterelativevolumedifference relativeabsolutevolumeerror relativeabsolutevolumedifference"
        " fpvolume fnvolume falsepositivevolume falsenegativevolume bce nll crossentropy",
    ),
    "quantity": (
        "neither",
        False,
        "volume area size lesionvolume labelvolume",
    ),
    "count": (
        "neither",
        False,
        "truepositives falsepositives falsenegatives truenegatives predictionvolume"
        " voxels nvoxels tp fp fn tn nref npred"
        " nrefinstances npredinstances numrefinstances numpredinstances time computationtime runtime seconds"
        " duration epoch threshold",
    ),
}
_BY_SPELLING: Mapping[str, str] = MappingProxyType(
    {spelling: name for name, (_, _, spellings) in _KNOWN.items() for spelling in spellings.split()}
)
# What segfair has under the same name and definition, so that limits, failure rates and PS hold for it.
_OURS = ("dsc", "iou", "normhd", "sensitivity", "precision")


@dataclass(frozen=True, slots=True)
class ScoreName:
    """What a column measures.

    Attributes:
        metric: segfair's name of the metric where it has it, with `_PART` behind it for a part; else empty.
        better: Which values are better.
        is_share: Whether it lies in [0, 1], so that larger numbers are per cent.
        per_cent: Whether the name says so.
        is_quantity: Whether it is a size, which a table of patients has as well.
    """

    metric: str
    better: Direction
    is_share: bool
    per_cent: bool
    is_quantity: bool = False


def read_score_name(column: str) -> ScoreName | None:
    """What a column measures, by its name in any letter case and spelling; None where nobody knows.

    A word before or behind the metric names a part (`dice_liver`, `WT Dice`, `ungrouped-global_bin_dsc`); a standard
    deviation rates nothing.
    """
    units = [(match["unit"] or match["sign"] or "").strip().lower() for match in _UNITS.finditer(column)]
    words = [word.lower() for word in _SPLIT.split(_UNITS.sub(" ", column)) if word]
    per_cent = any(unit in _PER_CENT for unit in units) or bool(words and words[-1] in _PER_CENT)
    if not words:
        return None
    if words[-1] in _SPREAD and len(words) > 1:
        return ScoreName("", "neither", False, per_cent)
    found = _find([_LONG_FORMS.get(word, word) for word in words]) or _find(words)
    if found is None:
        return None
    name, before, after = found
    better, is_share, _ = _KNOWN[name]
    beside = {*before, *after}
    if beside & _CHANGE and better in ("higher", "lower"):
        return None
    if (_INVERSE & beside or _ONE_MINUS.match(column)) and better == "higher":
        return ScoreName("", "lower", is_share, per_cent)
    if "absolute" in beside and better == "signed":
        return ScoreName("", "lower", False, per_cent)
    part = "_".join(word for word in after if word not in _IDLE)
    group = "_".join(word for word in before if word not in _IDLE and word != "ungrouped")
    whole = name in _OURS and not group
    metric = (f"{name}_{part}" if part else name) if whole else ""
    return ScoreName(metric, better, is_share, per_cent, name == "quantity")


def _find(words: Sequence[str]) -> tuple[str, list[str], list[str]] | None:
    """The metric that some neighbouring words spell, and the words before and behind it.

    One that rates comes before one that counts (`lesion volume dice`), then the longest run, then the leftmost.
    """
    last = max((index for index, word in enumerate(words) if word not in _IDLE), default=0) + 1
    runs = []
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            run = "".join(words[start:end])
            name = _BY_SPELLING.get(run)
            # A short word before others (`vs`, `acc`) says little.
            if name is not None and (len(run) > 2 or end >= last):
                runs.append((_KNOWN[name][0] == "neither", start - end, start, end, name))
    if not runs:
        return None
    _, _, start, end, name = min(runs)
    return name, list(words[:start]), list(words[end:])
