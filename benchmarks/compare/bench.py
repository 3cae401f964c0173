"""What every group of measurements needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from .client import Address
from .load import LoadGenerator, Measured, Work
from .machine import Cores
from .nginx import in_front_of
from .process_tree import ProcessTree
from .results import Results
from .rounds import Trial
from .servers import Floor, Granian, Gunicorn, Running, Scoter, Server, Uwsgi
from .tools import Tools
from .turns import Turns, in_one_go


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
        """Measures a server that is alone, directly on its socket."""
        return in_one_go(self.load.measure(running.parts, running.address, running.protocol, work))

    def directly(self, running: Running, works: Mapping[str, Work]) -> Turns[Trial]:
        """Does each work in turns with others, directly on the server's socket."""
        return self.in_turns(running.parts, running.address, running.protocol, works)

    def through_nginx(self, running: Running, works: Mapping[str, Work]) -> Turns[Trial]:
        """Does each work in turns with others; measures nginx and the server behind it."""
        with in_front_of(running, self.cores.server) as (address, parts):
            return (yield from self.in_turns(parts, address, "http", works))

    def in_turns(
        self, parts: Mapping[str, ProcessTree], address: Address, protocol: str, works: Mapping[str, Work]
    ) -> Turns[Trial]:
        # The others have to start, too.
        yield
        samples = {}
        for case, work in works.items():
            measured = yield from self.load.measure(parts, address, protocol, work)
            samples[case] = measured.sample()
        return samples
