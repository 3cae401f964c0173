"""Programs that the benchmark runs: started on given cores, and ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterable, Mapping, Sequence

from .failure import MeasurementFailed
from .process_tree import ProcessTree

DIES_WITHIN_SECONDS = 8.0


def start(
    command: Sequence[str], cores: Iterable[int], folder: Path, output: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own: a Ctrl-C is for the benchmark, which then stops it."""
    chosen = set(cores)
    with open(output, "ab") as file:
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, chosen),
            )
        except OSError as error:
            raise MeasurementFailed(f"{command[0]}: {error.strerror}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kills a program and everything that it has started: a graceful end would take its time."""
    kill(ProcessTree((process.pid,)).pids())
    process.wait()


def kill(pids: Iterable[int]) -> None:
    """Kills what still runs of these processes, and waits for it where it is ours to wait for."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        deadline = time.monotonic() + DIES_WITHIN_SECONDS
        while time.monotonic() < deadline:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    break
            except ChildProcessError:
                break
            time.sleep(0.01)


def kill_all_descendants() -> None:
    """The last broom: kills whatever the benchmark has started and not yet stopped."""
    kill(pid for pid in ProcessTree((os.getpid(),)).pids() if pid != os.getpid())


def last_words(output: Path, lines: int = 12) -> str:
    """Returns the end of what a program wrote, for a message about its failure."""
    try:
        text = output.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(text[-lines:])
