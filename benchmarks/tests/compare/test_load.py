"""What becomes of the slices of a measurement."""

from __future__ import annotations

import json
import unittest
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from compare.client import Address
from compare.failure import MeasurementFailed
from compare.load import LoadGenerator, Measured, Report, Work
from compare.process_tree import ProcessTree, Usage
from compare.tools import Tools
from compare.turns import in_one_go


def report(requests: int, seconds: float, latencies: dict[int, int]) -> Report:
    return Report(requests, seconds, 1, 2.0 * requests, Counter(latencies), {"X-Worker": Counter(a=requests)})


@dataclass(frozen=True)
class ScriptedLoad(LoadGenerator):
    """Reports what it was told, and remembers how many requests it was asked for."""

    reports: list[Report] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def run(self, address: Address, protocol: str, work: Work, requests: int) -> Report:
        self.asked.append(requests)
        return self.reports.pop(0)


@dataclass(frozen=True)
class ScriptedTree(ProcessTree):
    usages: list[Usage] = field(default_factory=list)

    def usage(self) -> Usage:
        return self.usages.pop(0)


class ReportTest(unittest.TestCase):
    def test_report_of_load_is_read(self) -> None:
        text = json.dumps(
            {
                "protocol": "uwsgi", "clients": 2, "requests": 4, "seconds": 0.5, "retries": 3,
                "load_cpu_us_per_request": 1.5,
                "latency": {"/": {"requests": 4, "counts": [[1000, 3], [9000, 1]]}},
                "headers": {"X-Worker": {"1": 3, "2": 1}},
            }
        )
        parsed = Report.parse(text)
        self.assertEqual((parsed.requests, parsed.rate, parsed.retries), (4, 8.0, 3))
        self.assertEqual(parsed.load_cpu_us, 6.0)
        self.assertEqual(parsed.latencies, {1000: 3, 9000: 1})
        self.assertEqual(parsed.shares("X-Worker"), [0.75, 0.25])

    def test_latencies_are_those_of_the_fast_requests_only(self) -> None:
        text = json.dumps(
            {
                "requests": 100, "seconds": 0.5, "retries": 0, "load_cpu_us_per_request": 1.5, "headers": {},
                "latency": {"/": {"counts": [[1000, 99]]}, "/slow": {"counts": [[100_000_000, 1]]}},
            }
        )
        parsed = Report.parse(text)
        self.assertEqual((parsed.requests, parsed.latencies), (100, {1000: 99}))

    def test_latency_is_what_a_share_did_not_exceed(self) -> None:
        counted = report(100, 1.0, {9000: 1, 1000: 50, 3000: 49})
        cases = [(0.0, 1.0), (0.5, 1.0), (0.51, 3.0), (0.99, 3.0), (0.999, 9.0), (1.0, 9.0)]
        for share, expected in cases:
            self.assertEqual(counted.latency(share), expected, share)

    def test_sum_has_the_latencies_of_both(self) -> None:
        # Neither has this median, nor is it between those that they have.
        both = report(3, 1.0, {1000: 1, 5000: 2}) + report(5, 3.0, {2000: 3, 5000: 1, 7000: 1})
        self.assertEqual((both.requests, both.seconds, both.rate, both.retries), (8, 4.0, 2.0, 2))
        self.assertEqual(both.load_cpu_us, 16.0)
        self.assertEqual(both.latencies, {1000: 1, 2000: 3, 5000: 3, 7000: 1})
        self.assertEqual(both.latency(0.5), 2.0)
        self.assertEqual(both.shares("X-Worker"), [1.0])


class MeasureTest(unittest.TestCase):
    def setUp(self) -> None:
        patched = mock.patch("compare.load.AFTERMATH_SECONDS", 0.0)
        patched.start()
        self.addCleanup(patched.stop)

    def load(self, *reports: Report) -> ScriptedLoad:
        tools = Tools.found(Path("target"), Path("scoter"), Path("peers"))
        return ScriptedLoad(tools, frozenset({0}), 0.6, list(reports))

    def measure(self, load: ScriptedLoad, work: Work, *usages: Usage) -> Measured:
        tree = ScriptedTree((1,), list(usages))
        return in_one_go(load.measure({"server": tree}, Address("socket"), "uwsgi", work))

    def test_sample_is_the_sum_of_slices(self) -> None:
        load = self.load(
            report(300, 0.1, {1: 300}), report(600, 0.2, {2000: 600}), report(200, 0.2, {4000: 200})
        )
        # The second process works while others have their turn, which is theirs to pay for.
        measured = self.measure(
            load, Work(slices=2),
            Usage({1: 1000, 2: 50}, {1: 5, 2: 0}), Usage({1: 7001000, 2: 1050}, {1: 9, 2: 1}),
            Usage({1: 7001000, 2: 90050}, {1: 9, 2: 70}), Usage({1: 8000000, 2: 90050}, {1: 12, 2: 70}),
        )
        self.assertEqual(measured.cpu_ns, 7000000 + 1000 + 999000)
        self.assertEqual(measured.switches, 4 + 1 + 3)
        sample = measured.sample()
        self.assertEqual((sample["requests"], sample["rate"]), (800, 2000.0))
        self.assertEqual((sample["cpu"], sample["switches"], sample["load cpu"]), (10.0, 0.01, 2.0))
        self.assertEqual((sample["p50"], sample["p99"]), (2.0, 4.0))

    def test_cost_is_told_apart_where_nginx_is_in_front(self) -> None:
        load = self.load(*[report(10, 0.1, {})] * 3)
        parts = {
            "nginx": ScriptedTree(
                (1,), [Usage({1: 0}, {1: 0}), Usage({1: 20000}, {1: 1})] + [Usage({1: 50000}, {1: 1})] * 2
            ),
            "server": ScriptedTree((2,), [Usage({2: 7}, {2: 5}), Usage({2: 100007}, {2: 8})] * 2),
        }
        sample = in_one_go(load.measure(parts, Address(port=1), "http", Work(slices=2))).sample()
        self.assertEqual((sample["nginx cpu"], sample["server cpu"], sample["cpu"]), (1.0, 10.0, 11.0))
        self.assertEqual(
            (sample["nginx switches"], sample["server switches"], sample["switches"]), (0.05, 0.3, 0.35)
        )

    def test_cost_of_a_server_alone_has_no_parts(self) -> None:
        nothing = Usage({1: 0}, {1: 0})
        sample = self.measure(self.load(*[report(10, 0.1, {})] * 2), Work(), nothing, nothing).sample()
        self.assertNotIn("server cpu", sample)

    def test_slice_takes_its_part_of_the_time_at_the_latest_rate(self) -> None:
        load = self.load(report(300, 0.1, {}), report(600, 0.3, {}), report(400, 0.2, {}))
        nothing = Usage({1: 0}, {1: 0})
        self.measure(load, Work(slices=2, warm_up=300), *[nothing] * 4)
        self.assertEqual(load.asked, [300, 900, 600])

    def test_work_has_the_last_word_on_how_long_it_takes(self) -> None:
        cases = [
            ("its seconds", Work(seconds=3.0), 3000),
            ("its requests", Work(requests=7), 7),
            ("five requests for each client", Work(clients=200), 1000),
        ]
        for name, work, expected in cases:
            self.assertEqual(self.load().requests(work, 1000.0), expected, name)

    def test_others_have_their_turn_after_the_warm_up_and_each_slice(self) -> None:
        load = self.load(*[report(10, 0.1, {})] * 4)
        tree = ScriptedTree((1,), [Usage({1: 0}, {1: 0})] * 6)
        turns = load.measure({"server": tree}, Address("socket"), "uwsgi", Work(slices=3))
        self.assertEqual([len(load.asked) for _ in turns], [1, 2, 3, 4])

    def test_process_that_ended_voids_the_measurement(self) -> None:
        load = self.load(*[report(10, 0.1, {})] * 2)
        with self.assertRaises(MeasurementFailed):
            self.measure(load, Work(), Usage({1: 0, 2: 0}, {}), Usage({1: 1}, {}))


if __name__ == "__main__":
    unittest.main()
