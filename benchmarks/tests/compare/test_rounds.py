"""Who has a turn when, and what becomes of those that fail."""

from __future__ import annotations

import contextlib
import io
import unittest
from functools import partial

from compare.failure import MeasurementFailed
from compare.results import Results
from compare.rounds import Contender, Trial, run
from compare.turns import Turns, alone, in_one_go, rotated


class RoundsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Results()
        self.log: list[str] = []

    def run_rounds(self, contenders: list[Contender], rounds: int) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            run(self.results, "group", contenders, rounds)

    def sliced(self, name: str, slices: int, fails_in: int | None = None) -> Contender:
        """One that says what it does, until it fails."""

        def trial() -> Turns[Trial]:
            self.log.append(f"{name} up")
            try:
                yield
                for number in range(slices):
                    if number == fails_in:
                        raise MeasurementFailed("as it was told")
                    self.log.append(f"{name}{number}")
                    yield
                return {"case": {"slices": float(slices)}}
            finally:
                self.log.append(f"{name} down")

        return Contender(name, trial)

    def test_each_turn_begins_with_another_one(self) -> None:
        self.run_rounds([self.sliced(name, 3) for name in "abc"], 1)
        slices = [entry for entry in self.log if len(entry) == 2]
        self.assertEqual(slices, "b0 c0 a0 c1 a1 b1 a2 b2 c2".split())
        self.assertEqual(self.log[:3], ["a up", "b up", "c up"])
        self.assertEqual(sorted(self.log[-3:]), ["a down", "b down", "c down"])

    def test_each_round_begins_with_another_one(self) -> None:
        self.run_rounds([self.sliced(name, 1) for name in "ab"], 3)
        ups = [entry[0] for entry in self.log if entry.endswith("up")]
        self.assertEqual(ups, ["a", "b", "b", "a", "a", "b"])

    def test_those_alone_end_before_the_next_begins(self) -> None:
        def trial(name: str) -> Trial:
            self.log.append(name)
            return {"case": {"value": 1.0}}

        contenders = [Contender(name, alone(partial(trial, name))) for name in "abc"]
        self.run_rounds([*contenders, self.sliced("d", 1)], 2)
        self.assertEqual(self.log[:4], ["a", "b", "c", "d up"])
        self.assertEqual(self.results.by_round("case", "b", "value"), {0: 1.0, 1: 1.0})

    def test_results_keep_the_order_of_contenders(self) -> None:
        self.run_rounds([self.sliced("a", 3), self.sliced("b", 2), self.sliced("c", 1)], 1)
        self.assertEqual(self.results.contenders("case"), ["a", "b", "c"])

    def test_one_that_fails_ends_alone(self) -> None:
        self.run_rounds([self.sliced("a", 2), self.sliced("b", 2, fails_in=1), self.sliced("c", 2)], 2)
        self.assertEqual(self.results.contenders("case"), ["a", "c"])
        self.assertEqual(self.log.count("b down"), 1)
        self.assertEqual(self.log.count("c1"), 2)
        [failure] = self.results.failures
        self.assertEqual((failure.contender, failure.round), ("b", 1))

    def test_interrupt_ends_all(self) -> None:
        def interrupted() -> Turns[Trial]:
            yield
            raise KeyboardInterrupt

        contenders = [self.sliced("a", 2), Contender("b", interrupted), self.sliced("c", 2)]
        with self.assertRaises(KeyboardInterrupt):
            self.run_rounds(contenders, 1)
        self.assertEqual(sorted(entry for entry in self.log if "down" in entry), ["a down", "c down"])

    def test_variants_share_a_name(self) -> None:
        def trial(case: str) -> Turns[Trial]:
            yield
            if case == "broken":
                raise MeasurementFailed("as it was told")
            return {case: {"value": 1.0}}

        self.run_rounds(
            [
                Contender("a", lambda: trial("plain")),
                Contender("a", lambda: trial("logged"), "with its log"),
                Contender("a", lambda: trial("broken"), "with its faults"),
            ],
            1,
        )
        self.assertEqual(self.results.contenders("plain"), ["a"])
        self.assertEqual(self.results.contenders("logged"), ["a"])
        self.assertEqual(self.results.failures[0].contender, "a with its faults")


class TurnsTest(unittest.TestCase):
    def test_rotation_goes_round(self) -> None:
        cases = [(0, "abc"), (1, "bca"), (2, "cab"), (3, "abc"), (7, "bca")]
        for by, expected in cases:
            self.assertEqual("".join(rotated("abc", by)), expected, by)
        self.assertEqual(rotated([], 2), [])

    def test_all_turns_in_one_go_give_the_result(self) -> None:
        def turns() -> Turns[str]:
            yield
            yield
            return "result"

        self.assertEqual(in_one_go(turns()), "result")


if __name__ == "__main__":
    unittest.main()
