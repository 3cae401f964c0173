"""What the table of targets says."""

from __future__ import annotations

import unittest

from compare import targets
from compare.cases import hello, kept, nginx, threads
from compare.results import Results


class BoundTest(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Results()
        for round in range(3):
            for name, cpu in (("floor", 80.0), ("scoter", 90.0), ("uWSGI", 100.0), ("granian", 100.0)):
                self.results.add(nginx.SATURATED, name, round, {"cpu": cpu * (round + 1)})

    def rows(self) -> dict[str, list[str]]:
        table = targets.table(targets.evaluate(self.results))
        return {f"{row[0]}, {row[1]}": list(row[2:]) for row in table.rows}

    def test_floor_bounds_a_ratio_without_reaching_it(self) -> None:
        rows = self.rows()
        to_granian = rows[f"{targets.THROUGH_NGINX}, ≤ 0.75 × granian"]
        self.assertEqual(to_granian, ["0.90 ×", "0.80 ×", "**missed**"])
        to_uwsgi = rows[f"{targets.THROUGH_NGINX}, ≤ 0.90 × uWSGI"]
        self.assertEqual(to_uwsgi, ["0.90 ×", "0.80 ×", "reached"])
        self.assertEqual(rows[f"{targets.THROUGH_NGINX}, ≤ 0.30 × gunicorn"], ["–", "–", "not measured"])

    def test_python_alone_bounds_the_rate(self) -> None:
        case = threads.waiting(32)
        self.results.add(case, "scoter", 0, {"rate": 3104.0})
        self.results.add(case, threads.PYTHON_ALONE, 0, {"rate": 3120.0})
        row = self.rows()[f"{targets.SLEEP}, ≥ 0.97 of 3 200 requests/s"]
        self.assertEqual(row, ["0.970", "0.975", "reached"])

    def test_others_have_no_bound(self) -> None:
        for name in ("floor", "scoter", "uWSGI"):
            self.results.add(hello.SATURATED, name, 0, {"cpu": 10.0})
        rows = self.rows()
        self.assertEqual(rows[f"{targets.HELLO}, ≤ 0.70 × uWSGI"], ["1.00 ×", "1.00 ×", "**missed**"])
        self.assertEqual(rows[f"{targets.HELLO}, ≤ 1.30 × floor"], ["1.00 ×", "–", "reached"])


class KeptTest(unittest.TestCase):
    """Each round has another speed: only ratios within a round come out alike."""

    def setUp(self) -> None:
        self.results = Results()

    def add(self, case: str, samples: dict[str, dict[str, float]]) -> None:
        for round, speed in enumerate((1.0, 5.0, 2.0)):
            for name, sample in samples.items():
                scaled = {metric: value * speed for metric, value in sample.items()}
                self.results.add(case, name, round, scaled)

    def verdicts(self, words: str) -> list[tuple[str, str, str]]:
        return [
            (one.target.wanted, targets.in_words(one.target, one.summary), one.verdict)
            for one in targets.evaluate(self.results)
            if words in one.target.work
        ]

    def test_hello_is_compared_with_each_peer_at_each_number_of_clients(self) -> None:
        self.add(
            kept.SMALL.case(16),
            {
                kept.KEPT: {"cpu": 52.0, "rate": 180.0}, "scoter": {"cpu": 1.0, "rate": 999.0},
                "uWSGI": {"cpu": 100.0, "rate": 100.0}, "granian": {"cpu": 62.0, "rate": 170.0},
            },
        )
        self.assertEqual(
            self.verdicts("hello, 16 clients"),
            [
                ("≤ 0.55 × uWSGI", "0.52 ×", "reached"),
                ("≤ 0.80 × granian", "0.84 ×", "missed"),
                ("≥ 1.7 × uWSGI", "1.80 ×", "reached"),
                ("≥ 1.1 × granian", "1.06 ×", "missed"),
            ],
        )
        self.assertEqual({one[2] for one in self.verdicts("hello, 64 clients")}, {"not measured"})

    def test_tail_is_that_of_64_clients(self) -> None:
        p99 = {kept.KEPT: {"p99": 9.0}, "uWSGI": {"p99": 10.0}, "granian": {"p99": 8.0}}
        self.add(kept.SMALL.case(64), p99)
        self.assertEqual(
            self.verdicts("hello, 64 clients, p99"),
            [("≤ uWSGI's", "0.90 ×", "reached"), ("≤ granian's", "1.12 ×", "missed")],
        )

    def test_page_has_to_be_cheaper_by_microseconds(self) -> None:
        for round, (ours, verdict) in enumerate(((581.0, "missed"), (580.0, "reached"))):
            self.results = Results()
            self.results.add(kept.PAGE.case(64), kept.KEPT, round, {"cpu": ours})
            self.results.add(kept.PAGE.case(64), "uWSGI", round, {"cpu": 600.0})
            self.assertEqual(
                self.verdicts("Flask's page"), [("≤ uWSGI's − 20 µs", f"{ours - 600:.0f} µs", verdict)]
            )

    def test_slow_requests_are_compared_with_the_same_server_without_the_module(self) -> None:
        self.add(kept.SLOW, {kept.KEPT: {"p99": 12.0}, "scoter": {"p99": 10.0}, "uWSGI": {"p99": 99.0}})
        self.assertEqual(
            self.verdicts("1 % slow"), [("≤ 1.1 × without the module", "1.20 ×", "missed")]
        )


if __name__ == "__main__":
    unittest.main()
