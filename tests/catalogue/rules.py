"""Protocols, gates, bins and expressions that cannot be meant."""

from __future__ import annotations

from tests.catalogue.cause import QUICK, Cause, written

__all__ = ["CAUSES"]

_AUDIT = ("audit", "{base}/preds", "{base}/labels", "{base}/metadata.csv", *QUICK)
_HEAD = 'format = 1\nname = "mine"\nmetrics = ["dsc"]\n'
_PROTOCOLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("empty", "", ()),
    ("deep", "a = " + "[" * 100_000, ("nested",)),
    ("deep, less", "a = " + "[" * 900 + "]" * 900, ("nested",)),
    ("a number of 5,000 digits", "format = " + "1" * 5000, ("too large",)),
    ("not TOML", "= =", ("not TOML",)),
    ("format of tomorrow", _HEAD.replace("= 1", "= 9"), ("format is 9",)),
    ("format a text", _HEAD.replace("= 1", '= "1"'), ("format",)),
    ("an unknown key", _HEAD + 'colour = "red"\n', ("colour",)),
    ("an unknown table", _HEAD + "[colours]\nred = 1\n", ("colours",)),
    ("an unknown metric", _HEAD.replace("dsc", "dice_score"), ("dice_score",)),
    ("no metrics", _HEAD.replace('["dsc"]', "[]"), ("metrics",)),
    ("metrics a text", _HEAD.replace('["dsc"]', '"dsc"'), ("metrics",)),
    ("metrics of numbers", _HEAD.replace('["dsc"]', "[1]"), ("metrics",)),
    ("a metric twice", _HEAD.replace('["dsc"]', '["dsc", "dsc"]'), ("dsc",)),
    ("name a number", _HEAD.replace('"mine"', "4"), ("name",)),
    ("regions is a number", _HEAD + "regions = 3\n", ("regions",)),
    ("a region of texts", _HEAD + '[regions]\ncore = "one"\n', ("core",)),
    ("a region that is empty", _HEAD + '[regions]\ncore = ""\n', ("core",)),
    ("a region of any", _HEAD + '[regions]\ncore = "any"\n', ("core",)),
    ("a region of a negative value", _HEAD + '[regions]\ncore = "-1"\n', ("label",)),
    ("label is a text", _HEAD + 'label = "1"\n', ("label",)),
    ("label's overlap a list", _HEAD + "[label]\noverlap = [1]\n", ("overlap",)),
    ("label's surface odd", _HEAD + '[label]\nsurface = "rim"\n', ("surface", "rim")),
    ("scale 0", _HEAD + "[normhd]\nscale = 0\n", ("scale",)),
    ("scale -1", _HEAD + "[normhd]\nscale = -1\n", ("scale",)),
    ("scale NaN", _HEAD + "[normhd]\nscale = nan\n", ("scale",)),
    ("scale infinite", _HEAD + "[normhd]\nscale = inf\n", ("scale",)),
    ("scale a text", _HEAD + '[normhd]\nscale = "150"\n', ("scale",)),
    ("unit in inches", _HEAD + '[normhd]\nunit = "inch"\n', ("unit", "inch")),
    ("clip a number", _HEAD + "[normhd]\nclip = 1\n", ("clip",)),
    ("both_dsc 7", _HEAD + "[empty]\nboth_dsc = 7\n", ("both_dsc",)),
    ("both_dsc NaN", _HEAD + "[empty]\nboth_dsc = nan\n", ("both_dsc",)),
    ("both_dsc negative", _HEAD + "[empty]\nboth_dsc = -0.5\n", ("both_dsc",)),
    ("one_distance a number", _HEAD + "[empty]\none_distance = 100\n", ("one_distance",)),
    ("match of colour", _HEAD + '[grid]\nmatch = "colour"\n', ("match",)),
    ("tolerance negative", _HEAD + "[grid]\ntolerance = -1\n", ("tolerance",)),
    ("tolerance infinite", _HEAD + "[grid]\ntolerance = inf\n", ("tolerance",)),
    ("weight 2", _HEAD + "[fairness]\nweight = 2\n", ("weight",)),
    ("weight -1", _HEAD + "[fairness]\nweight = -1\n", ("weight",)),
    ("weight NaN", _HEAD + "[fairness]\nweight = nan\n", ("weight",)),
    ("levels of few", _HEAD + '[fairness]\nlevels = "few"\n', ("levels",)),
    ("image_border odd", _HEAD + '[surface]\nimage_border = "glass"\n', ("image_border",)),
    ("use of none", _HEAD + '[attributes]\nuse = "none"\n', ("use",)),
    ("listed is a number", _HEAD + "[attributes]\nlisted = 3\n", ("listed",)),
    ("a listed attribute a number", _HEAD + "[attributes.listed]\nage = 3\n", ("age",)),
    ("edges a number", _HEAD + "[attributes.listed.age]\nedges = 3\n", ("edges",)),
    ("edges NaN", _HEAD + "[attributes.listed.age]\nedges = [0, nan, 100]\n", ("edges",)),
    ("edges that fall", _HEAD + "[attributes.listed.age]\nedges = [50, 40]\n", ("edges",)),
    ("edges of texts", _HEAD + '[attributes.listed.age]\nedges = ["a"]\n', ("edges",)),
    ("columns a number", _HEAD + "[attributes.listed.age]\ncolumns = 3\n", ("columns",)),
    ("contains a text", _HEAD + '[attributes.listed.age]\ncontains = ["a"]\n', ("contains",)),
    ("gates a text", _HEAD + '[gates]\nrequire = "FS > 0.5"\n', ("require",)),
    ("gates of numbers", _HEAD + "[gates]\nrequire = [1]\n", ("require",)),
    ("a gate that is none", _HEAD + '[gates]\nrequire = ["FS is good"]\n', ("FS is good",)),
)
PROTOCOLS = [
    Cause(
        f"protocol: {name}",
        (*_AUDIT, "--protocol", "p.toml"),
        says or ("p.toml",),
        written("p.toml", text),
        code=2,
    )
    for name, text, says in _PROTOCOLS
    if name != "empty"
]
FILES = [
    Cause("protocol: no such file", (*_AUDIT, "--protocol", "nowhere.toml"), ("nowhere.toml",)),
    Cause("protocol: a folder", (*_AUDIT, "--protocol", "{base}/preds"), ("preds",)),
    Cause("protocol: a name mistyped", ("protocol", "mama-mai"), ("mama-mia",)),
    Cause("protocol: not UTF-8", (*_AUDIT, "--protocol", "p.toml"), ("UTF-8",), written("p.toml", b"name = '\xff'")),
    Cause(
        "protocol: regions is a number, printed",
        ("protocol", "p.toml"),
        ("regions",),
        written("p.toml", _HEAD + "regions = 3\n"),
    ),
]

_GATES = (
    ("", "gate"), ("FS", "FS"), ("FS >=", "FS"), (">= 0.5", "0.5"), ("FS >= high", "high"), ("FS => 0.5", "FS"),
    ("FS >= 0.5 and TS >= 0.5", "and"), ("GS >= 0.5", "GS"), ("FS >= nan", "nan"), ("FS >= inf", "inf"),
    ("FS >= 1e400", "FS"), ("FS >= 0", "never below"), ("FS <= 2", "FS"), ("worst.hd95 > 1", "hd95"),
    ("worst.dsc > ", "dsc"), ("coverage >= 2", "coverage"), ("__import__('os') >= 1", "import"), ("FS >= 0.5; rm", "rm"),
    ("D_v(nothing) <= 0.1", "nothing"), ("FS >= -1", "FS"), ("FS\x00 >= 0.5", "FS"),
)  # fmt: skip
GATES = [
    *(
        Cause(f"gate: {gate!r}", ("gate", "{base}/report", "--gate", gate), (says,))
        for gate, says in _GATES
        if "\x00" not in gate
    ),
    Cause("gate: none at all", ("gate", "{base}/report"), ("gate",)),
    Cause("gate: a folder without an audit", ("gate", "{base}/preds", "--gate", "FS >= 0.5"), ("audit.json",)),
    Cause("gate: no such folder", ("gate", "nowhere", "--gate", "FS >= 0.5"), ("nowhere",)),
]

_EXPRESSIONS = (
    ("site ==", "site"), ("= 3", "3"), ("site = 'A'", "site"), ("colour == 'A'", "colour"), ("site == 'nobody'", "site"),
    ("__import__('os').system('x')", "import"), ("(" * 500 + "site == 'A'" + ")" * 500, "nested"),
    ("age > 'old'", "age"), ("site in 3", "site"), ("lambda: 1", "lambda"), ("site == 'A' and", "and"),
    ("age ** 9999999 > 1", "age"), ("site.upper() == 'A'", "site"), ("", "empty"), ("not", "not"), ("[1, 2]", "[1, 2]"),
    ("site == \"A", "site"), ("age == 1e999", "age"),
)  # fmt: skip
EXPRESSIONS = [
    Cause(f"where: {text[:40]!r}", (*_AUDIT, "--where", text), () if says in ("nested", "empty") else (says,))
    for text, says in _EXPRESSIONS
]

_BINS = (
    ("age", "age"), ("age=", "age"), ("=1,2", "1"), ("age=a,b", "age"), ("age=5,1", "age"), ("age=nan", "age"),
    ("age=1,1", "age"), ("colour=1,2", "colour"), ("site=1,2", "site"), ("age=inf,3", "age"),
    ("age=1,2;menopause=", "menopause"),
)  # fmt: skip
BINS = [Cause(f"bins: {text[:40]}", (*_AUDIT, "--bins", text), (says,)) for text, says in _BINS]

_JOINS = (
    ("site", "site"), ("site:", "site"), (": A, B = C", "A"), ("colour: A = B", "colour"), ("site: A, B", "site"),
    ("site: Z, Y = X", "site"), ("age: 1 = 2", "age"), ("site: A = ", "site"),
)  # fmt: skip
JOINS = [Cause(f"join: {text}", (*_AUDIT, "--join", text), (says,)) for text, says in _JOINS]

CAUSES = [*PROTOCOLS, *FILES, *GATES, *EXPRESSIONS, *BINS, *JOINS]
