"""The machine that is measured on: its cores, what it is, and which counters it has."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Which cores run what. On a machine with a single core all three are the same."""

    server: frozenset[int]
    load: frozenset[int]
    all: frozenset[int]

    @property
    def shared(self) -> bool:
        """Whether the load generator takes time from the servers that it measures."""
        return self.server == self.load


def allowed_cores() -> Cores:
    """Returns the first allowed core for servers and the second for the load."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(allowed[:1]), frozenset(allowed[1:2] or allowed[:1]), frozenset(allowed))


def describe(cores: Cores) -> dict[str, str]:
    """Returns what a reader needs to know to compare this machine with another."""
    return {
        "processor": processor(),
        "cores": str(len(cores.all)),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "virtual machine": "yes" if "hypervisor" in cpuinfo("flags").split() else "no sign of one",
        "governor": governor(),
        "net.core.wmem_max": readable("/proc/sys/net/core/wmem_max"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "Python of the benchmark": platform.python_version(),
    }


def processor() -> str:
    return cpuinfo("model name") or platform.machine()


def cpuinfo(key: str) -> str:
    """Returns the first value of a key of /proc/cpuinfo, empty if there is none."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def governor() -> str:
    return readable("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def readable(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "not visible"


@dataclass(frozen=True)
class Steal:
    """Time of this machine's cores since boot, in ticks: what another guest took, and everything."""

    stolen: int
    total: int

    def share_since(self, before: Steal) -> float:
        return (self.stolen - before.stolen) / max(1, self.total - before.total)


def steal() -> Steal:
    """Reads how much of its time this machine did not get: on a virtual machine the others' share."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return Steal(ticks[7], sum(ticks))


def instruction_counter() -> str | None:
    """Returns how instructions can be counted here: "perf", "valgrind", or not at all."""
    if shutil.which("perf"):
        try:
            counted = subprocess.run(
                ["perf", "stat", "-x,", "-e", "instructions:u", sys.executable, "-c", "pass"],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            if counted.returncode == 0 and counted.stderr.split(",")[0].isdigit():
                return "perf"
        except (OSError, subprocess.TimeoutExpired):
            pass
    return "valgrind" if shutil.which("valgrind") else None
