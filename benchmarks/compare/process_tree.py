"""A process and all its descendants: the time they have used, their memory, their switches of context."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass

from .failure import MeasurementFailed

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Usage:
    """What each process of a tree has used so far."""

    cpu_ns: dict[int, int]
    switches: dict[int, int]

    def since(self, before: Usage) -> Spent:
        """Returns what was used since `before`.

        A process that has ended took its figures along, so the measurement is void.
        """
        gone = before.cpu_ns.keys() - self.cpu_ns.keys()
        if gone:
            raise MeasurementFailed(f"process {min(gone)} ended while it was measured")
        cpu = sum(ns - before.cpu_ns.get(pid, 0) for pid, ns in self.cpu_ns.items())
        switches = sum(count - before.switches.get(pid, 0) for pid, count in self.switches.items())
        return Spent(cpu, switches)


@dataclass(frozen=True)
class Spent:
    """What the processes of a tree have used between two points in time."""

    cpu_ns: int
    switches: int

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu_ns + other.cpu_ns, self.switches + other.switches)


@dataclass(frozen=True)
class ProcessTree:
    """The descendants of some processes, and these themselves; who belongs to it is asked each time."""

    roots: tuple[int, ...]

    def pids(self) -> list[int]:
        """Returns the processes that live, parents in front of their children."""
        children: dict[int, list[int]] = {}
        alive = set()
        for name in os.listdir("/proc"):
            parent = parent_of(int(name)) if name.isdigit() else None
            if parent is not None:
                alive.add(int(name))
                children.setdefault(parent, []).append(int(name))
        found: list[int] = []
        waiting = [root for root in self.roots if root in alive]
        while waiting:
            pid = waiting.pop(0)
            if pid not in found:
                found.append(pid)
                waiting += sorted(children.get(pid, []))
        return found

    def usage(self) -> Usage:
        cpu: dict[int, int] = {}
        switches: dict[int, int] = {}
        for pid in self.pids():
            try:
                cpu[pid] = cpu_ns(pid)
                switches[pid] = context_switches(pid)
            except OSError:
                cpu.pop(pid, None)
        return Usage(cpu, switches)

    def pss(self) -> int:
        """Returns bytes of memory, shared pages divided by how many processes share them."""
        return sum(kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in self.pids()) * 1024

    def reset_peaks(self) -> dict[int, int]:
        """Forgets the peaks so far; returns what each process holds now, in bytes."""
        resident = {}
        for pid in self.pids():
            # proc(5), /proc/PID/clear_refs: 5 sets VmHWM to what is resident now.
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5\n")
            resident[pid] = kilobytes(f"/proc/{pid}/status", "VmRSS:") * 1024
        return resident

    def growth(self, resident: dict[int, int]) -> int:
        """Returns by how many bytes the processes have grown at their peaks since `reset_peaks`."""
        return sum(
            max(0, kilobytes(f"/proc/{pid}/status", "VmHWM:") * 1024 - resident.get(pid, 0))
            for pid in self.pids()
        )


def become_subreaper() -> None:
    """Makes orphans of this process's children its own, so that none escapes the end of a run."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parent_of(pid: int) -> int | None:
    """Returns the parent of a process; none if it has ended, also if nobody has waited for it yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may hold spaces and parentheses.
            state, parent = file.read().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent)


def cpu_ns(pid: int) -> int:
    """Returns the CPU time of a process, user and system, in nanoseconds.

    It is the clock that clock_getcpuclockid(3) names: the sum of what schedstat shows for each thread,
    but with the threads that have ended, and in one call.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def context_switches(pid: int) -> int:
    """Returns how often the threads of a process have lost the processor, of their own will or not."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8", errors="replace") as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        except OSError:
            continue
    return total


def kilobytes(path: str, key: str) -> int:
    """Returns a value of a file in /proc, 0 where the process has ended."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
