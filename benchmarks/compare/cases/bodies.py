"""Uploads that the application reads in full, with one read() and in pieces of 64 KiB, and responses that
it returns as one piece, as a generator of 64 KiB pieces, and as a real file through `wsgi.file_wrapper`.
One process, one thread, one client. Bytes are those of the body; memory is by how much the server's
processes have grown at their peak."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..bench import Bench
from ..load import Work
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Application, Running, Setup
from ..table import Table, spread
from ..turns import alone

NAME = "bodies"
TITLE = "Bodies"

CONTENDERS = ("scoter", "uWSGI", "gunicorn")
KIB, MIB = 1024, 1024 * 1024
LINE = "0123456789abcdef" * 4
# A measurement moves about so many bytes, and no fewer than that many requests.
BYTES = 400 * MIB
REQUESTS_AT_LEAST, REQUESTS_AT_MOST = 4, 4000


@dataclass(frozen=True)
class Kind:
    """One way of one size."""

    path: str
    size: int

    @property
    def case(self) -> str:
        return f"{self.direction} {in_words(self.size)}, {self.path}"

    @property
    def direction(self) -> str:
        return "upload" if self.path in UPLOADS else "response"

    @property
    def work(self) -> Work:
        what: tuple[str, ...]
        expected: tuple[str, ...]
        if self.path in UPLOADS:
            what = ("--method", "POST", "--path", f"/{self.path}", "--body", str(self.size))
            expected = ("--expect-body", f"{self.size}\n")
        else:
            what = ("--path", f"/{self.path}?size={self.size}")
            expected = ("--expect-body", LINE, "--expect-size", str(self.size))
        requests = min(REQUESTS_AT_MOST, max(REQUESTS_AT_LEAST, BYTES // self.size))
        return Work(
            (*what, *expected),
            clients=1,
            warm_up=min(requests, 1 if self.size > MIB else 30),
            requests=requests,
        )


UPLOADS = ("whole", "pieces")
RESPONSES = ("list", "generator", "file")
KINDS = [
    *(Kind("whole", size) for size in (KIB, 64 * KIB, MIB, 100 * MIB)),
    *(Kind("pieces", size) for size in (MIB, 100 * MIB)),
    *(Kind(path, size) for size in (MIB, 100 * MIB) for path in RESPONSES),
]


def case(path: str, size: int) -> str:
    return Kind(path, size).case


def in_words(size: int) -> str:
    return f"{size // MIB} MB" if size >= MIB else f"{size // KIB} KB"


def measure(bench: Bench) -> None:
    with tempfile.TemporaryDirectory(prefix="files-") as folder:
        for size in (MIB, 100 * MIB):
            (Path(folder) / str(size)).write_bytes(LINE.encode() * (size // len(LINE)))
        application = Application("bodies", environment={"BODIES_FOLDER": folder})
        contenders = [Contender(name, alone(partial(trial, bench, application, name))) for name in CONTENDERS]
        run(bench.results, NAME, contenders, bench.rounds)


def trial(bench: Bench, application: Application, name: str) -> Trial:
    path = f"/list?size={len(LINE)}"
    # A server of its own for each: what one has left in memory would change the peak of the next.
    samples = {}
    for kind in KINDS:
        with bench.server(name).serving(Setup(application), bench.cores.server, path) as running:
            samples[kind.case] = sample(bench, running, kind)
    return samples


def sample(bench: Bench, running: Running, kind: Kind) -> dict[str, float]:
    resident = running.tree.reset_peaks()
    measured = bench.measure(running, kind.work)
    return {
        **measured.sample(),
        "ns per byte": measured.cpu_us * 1000 / kind.size,
        "bytes per CPU second": kind.size / measured.cpu_us * 1e6,
        "growth": float(running.tree.growth(resident)),
    }


def tables(results: Results) -> list[Table]:
    made = []
    for direction in ("upload", "response"):
        kinds = [kind for kind in KINDS if kind.direction == direction and results.contenders(kind.case)]
        rows = []
        for kind in kinds:
            for name in results.contenders(kind.case):
                rows.append(
                    [
                        f"{in_words(kind.size)}, {WORDS[kind.path]}",
                        name,
                        spread(results.summary(kind.case, name, "bytes per CPU second"), 2, 1e-9),
                        spread(results.summary(kind.case, name, "cpu"), 1),
                        spread(results.ratio(kind.case, name, "uWSGI", "cpu"), 2),
                        spread(results.summary(kind.case, name, "growth"), 1, 1 / MIB),
                    ]
                )
        if rows:
            header = [
                "",
                "",
                "GB per CPU second",
                "CPU µs per request",
                "CPU ÷ uWSGI",
                "memory grown by, MiB",
            ]
            made.append(Table(f"{direction.capitalize()}s", header, rows))
    return made


WORDS = {
    "whole": "read() once",
    "pieces": "read() in pieces",
    "list": "list",
    "generator": "generator",
    "file": "file_wrapper",
}
