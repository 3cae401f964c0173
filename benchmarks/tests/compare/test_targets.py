"""What the table of targets says."""

from __future__ import annotations

import unittest

from compare import targets
from compare.cases import hello, nginx, threads
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


if __name__ == "__main__":
    unittest.main()
