"""What every group of measurements needs."""

from __future__ import annotations

from dataclasses import dataclass

from .load import LoadGenerator, Measured, Work
from .machine import Cores
from .nginx import in_front_of
from .results import Results
from .servers import Floor, Granian, Gunicorn, Running, Scoter, Server, Setup, Uwsgi
from .tools import Tools


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark."""

    tools: Tools
    cores: Cores
    load: LoadGenerator
    rounds: int
    results: Results

    def server(self, name: str) -> Server:
        kinds: list[type[Server]] = [Floor, Scoter, Uwsgi, Gunicorn, Granian]
        return {kind.name: kind for kind in kinds}[name](self.tools)

    def measure(self, running: Running, work: Work) -> Measured:
        """Measures a server directly on its socket."""
        return self.load.measure(running.tree, running.address, running.protocol, work)

    def measure_through_nginx(self, running: Running, works: dict[str, Work]) -> dict[str, Measured]:
        """Measures nginx and the server behind it together."""
        with in_front_of(running, self.cores.server) as (address, tree):
            return {name: self.load.measure(tree, address, "http", work) for name, work in works.items()}

    def direct(self, name: str, setup: Setup, works: dict[str, Work]) -> dict[str, dict[str, float]]:
        """Starts a server and does each work in turn; the samples have the memory after the last."""
        with self.server(name).serving(setup, self.cores.server) as running:
            samples = {case: self.measure(running, work).sample() for case, work in works.items()}
            return {case: {**sample, "pss": float(running.tree.pss())} for case, sample in samples.items()}
