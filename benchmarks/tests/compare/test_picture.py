"""The picture for the README."""

from __future__ import annotations

import re
import unittest
import xml.etree.ElementTree as ElementTree

from compare import picture
from compare.cases import kept
from compare.results import Results

# One round in which the others, but not scoter, were disturbed: the median of the rounds' ratios is 2.0, while
# the bars are 10 and 12.
SCOTER = [10.0, 10.0, 5.0, 12.0, 6.0]
PEER = [12.0, 11.0, 10.0, 24.0, 12.0]
KEPT = [8.0, 4.0, 2.0, 6.0, 5.0]


def noisy() -> Results:
    results = Results()
    for panel in picture.PANELS:
        for name in panel.contenders:
            for round, cpu in enumerate({"scoter": SCOTER, kept.KEPT: KEPT}.get(name, PEER)):
                results.add(panel.case, name, round, {"cpu": cpu})
    return results


class Picture(unittest.TestCase):
    def drawn(self) -> str:
        drawn = picture.draw(noisy())
        assert drawn is not None
        ElementTree.fromstring(drawn)
        return drawn

    def test_ratio_beside_a_bar_is_that_of_the_bars(self) -> None:
        bars = re.findall(
            r'end">([^<]+)</text>\n  <rect .* width="([0-9.]+)".*\n  <text[^>]*>([0-9.]+)(?:<tspan[^>]*>([0-9.]+) ×)?',
            self.drawn(),
        )
        self.assertEqual(len(bars), sum(len(panel.contenders) for panel in picture.PANELS))
        (ours,) = {float(width) for name, width, _, _ in bars if name == "scoter"}
        medians = {"scoter": 10.0, kept.KEPT: 5.0}
        for name, width, us, times in bars:
            self.assertEqual(float(us), medians.get(name, 12.0), name)
            if name == "scoter":
                self.assertEqual(times, "")
            else:
                self.assertAlmostEqual(float(times), float(width) / ours, delta=0.051, msg=name)

    def test_bar_of_kept_connections_names_the_module_it_takes(self) -> None:
        (line,) = [line for line in self.drawn().splitlines() if "nginx-conf/keepalive" in line]
        self.assertIn("5.0<tspan", line)

    def test_all_bars_of_scoter_have_its_colour(self) -> None:
        bars = re.findall(r'end">([^<]+)</text>\n  <rect class="(ours|theirs)"', self.drawn())
        for name, kind in bars:
            self.assertEqual(kind, "ours" if name.startswith("scoter") else "theirs", name)

    def test_nothing_is_drawn_of_half_a_measurement(self) -> None:
        results = noisy()
        del results.values[picture.PANELS[-1].case]["uWSGI"]
        self.assertIsNone(picture.draw(results))


if __name__ == "__main__":
    unittest.main()
