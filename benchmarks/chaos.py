"""Whether a command that is killed, starved, or robbed of what it reads leaves anything behind, or loses anything.

Kills `audit`, `rank`, `mitigate` and `predict` at random moments, calls them again, and compares what they leave with
what an undisturbed call leaves; then full disks, little memory, dead workers, files that change while they are read,
and two calls at once. Everything is small; the moments follow from the seed, and from how busy the machine is.

    python benchmarks/chaos.py [--kills 100] [--seed 0] [--only WORD] [--write docs/reliability.md]
"""

from __future__ import annotations

import argparse
import csv
import getpass
import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import segfair
from segfair.files.manifest import verify

QUICK = ("--permutations", "99", "--bootstrap", "100")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}
HIDDEN = re.compile(r"\.segfair-(?!cache$).*|\..*\.(part|tmp)")
UNWELCOME = re.compile(r"Traceback|internal error|Error:|Warning:|leaked")
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)+\S.*\n?")
DATED = re.compile(rb"(\d{1,2} [A-Z][a-z]+ \d{4},?|\d{4}-\d\d-\d\d[T ])\s*\d\d:\d\d(:\d\d)?( UTC|\+00:00)?")
DIGEST = re.compile(rb"\b[0-9a-f]{12,64}\b")
OF_OTHERS = {f"torchinductor_{getpass.getuser()}"}
"""A cache that torch makes where it is imported."""
SHARE = {"audit": 35, "rank": 25, "mitigate": 15, "predict": 25}
"""Kills of each command, of a hundred."""
BEGIN, END = "<!-- chaos -->\n", "<!-- end of chaos -->\n"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be disturbed.

    Attributes:
        name: Of the command.
        words: What is typed after `segfair`, in a folder of its own; it writes to `out` there.
        again: What is typed after it was killed, beside the words.
    """

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()


@dataclass(slots=True)
class Ended:
    """How a call ended, and what it said."""

    code: int
    said: str
    seconds: float
    left_running: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """What was tried of one kind, and what went wrong."""

    tried: int = 0
    lost: list[str] = field(default_factory=list)
    skipped: str = ""


class Trial:
    """One folder in which a command is called, once or more."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        self.out = self.folder / "out"
        (self.folder / "tmp").mkdir(parents=True)

    def start(
        self, words: Sequence[str], *, limits: Mapping[str, int] | None = None, stdout: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Begins a call in a session of its own; what it says goes to `said`."""

        def prepare() -> None:
            # What runs in the background, or under nohup, ignores these, and so would its children.
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            for name, most in (limits or {}).items():
                resource.setrlimit(getattr(resource, name), (most, most))

        environment = {
            **os.environ,
            "TMPDIR": str(self.folder / "tmp"),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
        }
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "segfair", *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout.open("wb") if stdout else said,
                stderr=said,
                start_new_session=True,
                preexec_fn=prepare,
            )

    def end(self, process: subprocess.Popen[bytes], *, began: float, seconds: float = 300) -> Ended:
        """Waits for a call, and for its children, which a kill gives ten seconds."""
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = 999
        deadline = time.monotonic() + 10
        while (left := _session(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for number in left:
            os.kill(number, signal.SIGKILL)
        said = (self.folder / "said").read_text("utf-8", "replace")
        (self.folder / "said").unlink()
        return Ended(code, said, time.monotonic() - began, left)

    def call(self, words: Sequence[str], **how: Any) -> Ended:
        """A whole call."""
        began = time.monotonic()
        return self.end(self.start(words, **how), began=began)

    def hidden(self) -> list[str]:
        """Temporary files and folders that are still there."""
        return [path.name for path in self.folder.rglob("*") if HIDDEN.fullmatch(path.name)]

    def forget(self) -> None:
        """Removes the folder: a hundred of them fill a disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _session(number: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == number and fields[0] != "Z":
                found.append(int(entry.name))
    return found


# What is compared


def contents(out: Path) -> dict[str, Any]:
    """Name -> what a file holds, without the moment when it was written."""
    return {
        path.relative_to(out).as_posix(): _content(path)
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(out).parts)
        # Where prepared volumes lie is of no interest to anybody, and what is left of an earlier call may lie there.
        and "cache" not in path.relative_to(out).parts
    }


def _content(path: Path) -> Any:
    if path.suffix == ".pt":
        import torch

        return _plain(torch.load(path, weights_only=True))
    if path.name.endswith(".nii.gz"):
        return gzip.decompress(path.read_bytes())
    text = DATED.sub(b"WHEN", path.read_bytes())
    if path.name == "manifest.json":
        tree = json.loads(text)
        return {key: tree[key] for key in ("inputs", "protocol", "versions")} | {"outputs": sorted(tree["outputs"])}
    # A page names the digests of files, and where those of tables differ the tables say so.
    return DIGEST.sub(b"DIGEST", text) if path.suffix in (".html", ".md") else text


def _plain(value: Any) -> Any:
    """A checkpoint as values that `==` compares bit for bit."""
    if hasattr(value, "numpy"):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """What differs, one sentence a file."""
    missing = [f"{name} is missing" for name in expected if name not in found]
    more = [f"{name} should not be there" for name in found if name not in expected]
    other = [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
    return [*missing, *more, *other]


def half_written(out: Path) -> list[str]:
    """Files that cannot be read to their end, and reports that do not hold what their manifest says."""
    wrong = []
    for path in sorted(out.rglob("*")) if out.is_dir() else []:
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(out).parts):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix == ".html":
                assert path.read_text("utf-8").rstrip().endswith("</html>")
            elif path.suffix == ".csv" and path.name not in ("history.csv", "weights.csv"):
                with path.open(newline="", encoding="utf-8") as file:
                    assert len({len(row) for row in csv.reader(file)}) == 1
            elif path.suffix == ".pt" or path.name.endswith(".nii.gz"):
                _content(path)
        except Exception as error:
            wrong.append(f"{path.relative_to(out)} is half-written ({type(error).__name__})")
    for manifest in out.rglob("manifest.json") if out.is_dir() else []:
        wrong += verify(manifest.parent)
    return wrong


# Kills


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials share: where, the good inputs, and what an undisturbed call leaves, and takes."""

    root: Path
    commands: Mapping[str, Command]
    expected: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    finished: dict[str, Path]

    def trial(self, name: str) -> Trial:
        """A new folder."""
        return Trial(self.root / "trials", name)

    def problems_of(self, command: Command, trial: Trial) -> list[str]:
        """What is wrong after a call that was not disturbed."""
        found = [f"{name} stays" for name in trial.hidden()]
        return [*found, *half_written(trial.out), *differences(contents(trial.out), self.expected[command.name])]

    def again(self, command: Command, trial: Trial) -> list[str]:
        """Calls it once more, and says what is wrong then."""
        ended = trial.call((*command.words, *command.again))
        if ended.code:
            return [f"the next call ended with {ended.code}: {ended.said[-300:]}"]
        return self.problems_of(command, trial)


def unwelcome(said: str) -> bool:
    """Whether something was said that nobody should read; Python's own processes speak where others are killed."""
    ours = re.sub(TRACEBACK, lambda block: block[0] * ("segfair" in block[0]), said)
    return bool(UNWELCOME.search(re.sub(r".*resource_tracker.*\n(\s+warnings\.warn.*\n)?", "", ours)))


def kill(bench: Bench, number: int, command: Command, how: signal.Signals, share: float, used: bool) -> list[str]:
    """One kill, and a call after it; what went wrong.

    Args:
        bench: What all trials share.
        number: Of the trial.
        command: What is killed.
        how: The signal.
        share: When, as a share of the time that an undisturbed call takes.
        used: Whether a finished result lies there already, which has to stay whole until the next one stands.
    """
    trial = bench.trial(f"kill-{number}")
    words = command.words
    if used:
        shutil.copytree(bench.finished[command.name], trial.out)
        words = (*words, *command.again)
    began = time.monotonic()
    process = trial.start(words)
    time.sleep(share * bench.seconds[command.name])
    process.send_signal(how)
    if number % 5 == 0:  # somebody who presses it again and again
        for _ in range(3):
            time.sleep(0.03)
            process.send_signal(how)
    ended = trial.end(process, began=began, seconds=120)
    wrong = [f"{len(ended.left_running)} processes go on"] if ended.left_running else []
    # Before Python runs a line of ours, a signal ends it in its own way.
    if ended.code not in (CODES[how], -int(how), 0):
        wrong.append(f"ended with {ended.code}")
    if unwelcome(ended.said) and not (ended.code == -int(how) and share < 0.1):
        wrong.append(f"said {ended.said[-300:]!r}")
    if how != signal.SIGKILL and ended.code != -int(how):
        wrong += [f"{name} stays" for name in trial.hidden()]
        left = {path.name for path in (trial.folder / "tmp").iterdir()} - OF_OTHERS
        wrong += [f"tmp/{name} stays" for name in left]
    wrong += half_written(trial.out)
    if used:
        wrong += [f"{name} is lost" for name in bench.expected[command.name] if not (trial.out / name).is_file()]
    wrong += bench.again(command, trial)
    trial.forget()
    return [f"{command.name}, {how.name} after {share:.2f} of its time{', used' * used}: {text}" for text in wrong]


# Faults that are no kill


def refused(ended: Ended, *words: str, codes: Sequence[int] = (2,)) -> list[str]:
    """What is wrong with a refusal."""
    wrong = [] if ended.code in codes else [f"ended with {ended.code}: {ended.said[-300:]}"]
    wrong += [f"said {ended.said[-300:]!r}"] if unwelcome(ended.said) else []
    wrong += [f"no word of {word}: {ended.said[-300:]}" for word in words if ended.code and word not in ended.said]
    return wrong + (["processes go on"] if ended.left_running else [])


def full_stdout(bench: Bench, command: Command) -> list[str]:
    """Nothing can be said; what is written is whole."""
    trial = bench.trial(f"stdout-{command.name}")
    ended = trial.call(command.words, stdout=Path("/dev/full"))
    wrong = refused(ended, "standard output")
    wrong += half_written(trial.out) + [f"{name} stays" for name in trial.hidden()] + bench.again(command, trial)
    trial.forget()
    return wrong


def small_files(bench: Bench, command: Command, most: int) -> list[str]:
    """No file may grow beyond a size."""
    trial = bench.trial(f"fsize-{command.name}-{most}")
    ended = trial.call(command.words, limits={"RLIMIT_FSIZE": most})
    wrong = refused(ended, codes=(0, 2)) + half_written(trial.out) + [f"{name} stays" for name in trial.hidden()]
    wrong += bench.again(command, trial)
    trial.forget()
    return wrong


def little_memory(bench: Bench, command: Command, megabytes: int) -> list[str]:
    """Less memory than it takes."""
    trial = bench.trial(f"as-{command.name}-{megabytes}")
    ended = trial.call(command.words, limits={"RLIMIT_AS": megabytes * 2**20})
    wrong = refused(ended, codes=(0, 2)) + half_written(trial.out) + [f"{name} stays" for name in trial.hidden()]
    wrong += bench.again(command, trial)
    trial.forget()
    return wrong


def full_disk(bench: Bench, command: Command, share: float) -> list[str]:
    """A disk of its own for --out that is full after a share of what is written; then it is given more room."""
    trial = bench.trial(f"disk-{command.name}-{share}")
    trial.out.mkdir()
    size = sum(path.stat().st_size for path in bench.finished[command.name].rglob("*") if path.is_file())
    with small_disk(trial.out, max(16384, int(share * size))) as grow:
        ended = trial.call(command.words)
        wrong = refused(ended, codes=(0, 2)) + half_written(trial.out) + [f"{name} stays" for name in trial.hidden()]
        if ended.code == 2 and command.name in ("audit", "rank") and share > 0.6:
            saved = "audit.json" if command.name == "audit" else "rank.json"
            wrong += [] if (trial.out / saved).is_file() else [f"{saved} is lost"]
        grow()
        wrong += bench.again(command, trial)
    trial.forget()
    return wrong


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A tmpfs on a folder; what is yielded gives it more room."""
    run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)])
    try:
        yield lambda: run(["mount", "-o", "remount,size=256m", str(folder)])
    finally:
        run(["umount", "-l", str(folder)])


def run(words: Sequence[str]) -> None:
    """Runs a program that has to succeed."""
    subprocess.run(words, check=True, capture_output=True)


def can_mount() -> str:
    """Why no small disk can be made; empty where one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 2**20):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "a small disk takes the right to mount one"


def dead_worker(bench: Bench, command: Command, after: float) -> list[str]:
    """One of its processes is killed."""
    trial = bench.trial(f"worker-{command.name}-{after}")
    began = time.monotonic()
    process = trial.start(command.words)
    time.sleep(after * bench.seconds[command.name])
    children: list[int] = []
    while not children and process.poll() is None:
        children = [number for number in _session(process.pid) if number != process.pid]
        time.sleep(0.005)
    for number in children[-1:]:
        os.kill(number, signal.SIGKILL)
    ended = trial.end(process, began=began)
    wrong = refused(ended, codes=(0, 2)) + half_written(trial.out) + [f"{name} stays" for name in trial.hidden()]
    wrong += bench.again(command, trial)
    trial.forget()
    return wrong


def changing_inputs(bench: Bench, command: Command, what: str, seed: int) -> list[str]:
    """Masks vanish, are cut or are replaced while they are read."""
    trial = bench.trial(f"changes-{command.name}-{what}")
    base = trial.folder / "base"
    shutil.copytree(bench.root / "base", base, ignore=shutil.ignore_patterns("model"))
    words = tuple(word.replace("../../base/", "base/") for word in command.words)
    words = tuple("../../base/model" if word == "base/model" else word for word in words)
    stop, rng = threading.Event(), random.Random(seed)
    folders = {"audit": ["preds"], "rank": ["teams/alpha"], "predict": ["images"]}[command.name]
    files = sorted(path for folder in folders for path in (base / folder).glob("*.nii.gz"))[::3]

    def change() -> None:
        rng.shuffle(files)
        for path in files:
            if stop.wait(bench.seconds[command.name] / len(files)):
                return
            if what == "vanish":
                path.unlink()
            elif what == "are cut":
                path.write_bytes(path.read_bytes()[:40])
            else:
                path.write_bytes(rng.randbytes(2000))

    thread = threading.Thread(target=change)
    thread.start()
    ended = trial.call(words)
    stop.set()
    thread.join()
    wrong = refused(ended, codes=(0, 2)) + half_written(trial.out) + [f"{name} stays" for name in trial.hidden()]
    if command.name == "audit" and ended.code == 0:
        n = json.loads((trial.out / "audit.json").read_text("utf-8"))["cases"]["n_scored"]
        wrong += [] if n == 24 else [f"{n} of 24 cases are scored"]
    trial.forget()
    return wrong


def two_at_once(bench: Bench, command: Command, apart: float) -> list[str]:
    """Two calls into one folder."""
    trial, other = bench.trial(f"two-{command.name}-{apart}"), bench.trial(f"other-{command.name}-{apart}")
    shutil.rmtree(other.folder)
    other.folder.symlink_to(trial.folder)
    began = time.monotonic()
    first = trial.start(command.words)
    time.sleep(apart * bench.seconds[command.name])
    second = trial.start(command.words)
    one = trial.end(first, began=began)
    (trial.folder / "said").touch()
    two = trial.end(second, began=began)
    wrong = [text for ended in (one, two) for text in refused(ended, codes=(0, 2))]
    wrong += [] if 0 in (one.code, two.code) else ["neither did it"]
    wrong += bench.problems_of(command, trial)
    other.folder.unlink()
    trial.forget()
    return wrong


# The whole


def prepared(root: Path) -> Bench:
    """Good inputs, and an undisturbed call of each command."""
    from segfair.phantom import write_phantom

    base = root / "base"
    write_phantom(base, n_cases=24, size=(16, 16, 16), seed=0)
    for team in ("alpha", "beta"):
        shutil.copytree(base / "preds", base / "teams" / team)
    (base / "settings.toml").write_text(
        'backbones = ["unet"]\nepochs = 2\nbatch_size = 4\nlr = 0.01\nspatial_size = [16, 16, 16]\n'
        'spacing_mm = [8.0, 8.0, 8.0]\nattributes = ["age_group", "menopause"]\nselect = "dice"\n'
        "[network.unet]\nchannels = [4, 8]\n",
        "utf-8",
    )
    audited = ("../../base/labels", "../../base/metadata.csv", *QUICK, "--out", "out")
    of_training = ("../../base", "--config", "../../base/settings.toml", "--workers", "1", "--out", "out")
    commands = [
        Command("audit", ("audit", "../../base/preds", *audited, "--workers", "2", "--no-cache")),
        Command("rank", ("rank", "../../base/teams", *audited, "--workers", "2")),
        Command(
            "mitigate",
            ("mitigate", *of_training, "--strategy", "divergence-sampling", "--no-baseline"),
            ("--resume",),
        ),
        Command("predict", ("predict", "../../base/model", "../../base/images", "out")),
    ]
    bench = Bench(root, {command.name: command for command in commands}, {}, {}, {})
    for command in commands:
        trial = bench.trial(f"undisturbed-{command.name}")
        ended = trial.call(command.words)
        assert ended.code == 0, ended.said
        bench.finished[command.name] = trial.out
        bench.expected[command.name] = contents(trial.out)
        if command.name == "mitigate":
            model = base / "model"
            model.mkdir()
            shutil.copy(trial.out / "divergence-sampling" / "checkpoint_best.pt", model)
        # The second call finds what the first has put into the caches of the machine.
        other = bench.trial(f"repeated-{command.name}")
        bench.seconds[command.name] = other.call(command.words).seconds
        assert not (found := bench.problems_of(command, other)), found
    return bench


def planned(bench: Bench, kills: int, seed: int, mountable: str) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Kind and trial of everything that is tried."""
    rng = random.Random(seed)
    numbers = iter(range(10**6))
    for name, share in SHARE.items():
        command = bench.commands[name]
        for index in range(round(kills * share / 100)):
            how = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP)[index % 5]
            settings = (next(numbers), command, how, rng.uniform(0, 1.02), rng.random() < 0.4)
            yield f"{name} killed", lambda settings=settings: kill(bench, *settings)  # type: ignore[misc]
    audit, rank, mitigate, predict = bench.commands.values()
    every = (audit, rank, mitigate, predict)
    faults: list[tuple[str, Callable[..., list[str]], tuple[Any, ...]]] = [
        *(("standard output is full", full_stdout, (command,)) for command in every),
        *(
            ("no file may grow beyond a size", small_files, (command, most))
            for command in every
            for most in (1_000, 20_000, 150_000)
        ),
        *(
            ("too little memory", little_memory, (command, most))
            for command, sizes in (
                (audit, (150, 300, 600)),
                (rank, (400,)),
                (predict, (400, 1200)),
                (mitigate, (1500,)),
            )
            for most in sizes
        ),
        *(
            ("a worker is killed", dead_worker, (command, after))
            for command, afters in ((audit, (0.1, 0.3)), (rank, (0.2,)), (mitigate, (0.2, 0.5)))
            for after in afters
        ),
        *(
            ("files change while they are read", changing_inputs, (command, what, seed))
            for command in (audit, rank, predict)
            for what in ("vanish", "are cut", "are replaced")
        ),
        *(("two at once, one folder", two_at_once, (command, apart)) for command in every for apart in (0.0, 0.4)),
    ]
    if not mountable:
        faults += [
            ("the disk is full", full_disk, (command, share))
            for command, shares in (
                (audit, (0.1, 0.4, 0.8)),
                (rank, (0.2, 0.8)),
                (mitigate, (0.02, 0.2, 0.4, 0.7)),
                (predict, (0.5,)),
            )
            for share in shares
        ]
    for kind, function, arguments in faults:
        yield kind, lambda function=function, arguments=arguments: function(bench, *arguments)  # type: ignore[misc]


def table(tallies: Mapping[str, Tally], *, seed: int) -> str:
    """What was tried, survived and lost, in Markdown."""
    lines = ["| what happens | tried | survived | lost |", "|---|---|---|---|"]
    total = Tally()
    for kind, tally in tallies.items():
        if tally.skipped:
            lines.append(f"| {kind} | skipped: {tally.skipped} | | |")
            continue
        total.tried += tally.tried
        total.lost += tally.lost
        lines.append(f"| {kind} | {tally.tried} | {tally.tried - len(tally.lost)} | {len(tally.lost)} |")
    lines.append(f"| **all** | {total.tried} | {total.tried - len(total.lost)} | {len(total.lost)} |")
    when = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    return f"segfair {segfair.__version__}, {when}, seed {seed}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Tries everything, prints the table, and ends with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds that fit this expression")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", type=Path, help="page whose table is replaced")
    given = parser.parse_args()
    mountable = can_mount()
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, ThreadPoolExecutor(given.jobs) as threads:
        bench = prepared(Path(folder))
        trials = [
            (kind, threads.submit(trial))
            for kind, trial in planned(bench, given.kills, given.seed, mountable)
            if re.search(given.only, kind)
        ]
        for kind, future in trials:
            tally = tallies.setdefault(kind, Tally())
            tally.tried += 1
            if wrong := future.result():
                tally.lost.append(wrong[0])
                print(f"LOST {kind}: " + "\n     ".join(wrong[:6]), flush=True)
    if mountable:
        tallies["the disk is full"] = Tally(skipped=mountable)
    text = table(tallies, seed=given.seed)
    print(text)
    if given.write is not None:
        page = given.write.read_text("utf-8")
        before, rest = page.split(BEGIN)
        given.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", "utf-8")
    sys.exit(any(tally.lost for tally in tallies.values()))


if __name__ == "__main__":
    main()
