"""The picture for the README."""

from __future__ import annotations

import re
import unittest
import xml.etree.ElementTree as ElementTree

from compare import picture
from compare.results import Results

# One round in which the others, but not scoter, were disturbed: the median of the rounds' ratios is 2.0, while
# the bars are 10 and 12.
SCOTER = [10.0, 10.0, 5.0, 12.0, 6.0]
PEER = [12.0, 11.0, 10.0, 24.0, 12.0]


def noisy() -> Results:
    results = Results()
    for panel in picture.PANELS:
        for name in panel.contenders:
            for round, cpu in enumerate(SCOTER if name == "scoter" else PEER):
                results.add(panel.case, name, round, {"cpu": cpu})
    return results


class Picture(unittest.TestCase):
    def test_ratio_beside_a_bar_is_that_of_the_bars(self) -> None:
        drawn = picture.draw(noisy())
        assert drawn is not None
        ElementTree.fromstring(drawn)
        bars = re.findall(r'<rect class="(ours|theirs)".* width="([0-9.]+)"', drawn)
        beside = re.findall(r">([0-9.]+)<tspan[^>]*>([0-9.]+) ×</tspan>", drawn)
        theirs = [float(width) for kind, width in bars if kind == "theirs"]
        (ours,) = {float(width) for kind, width in bars if kind == "ours"}
        self.assertEqual(len(beside), len(theirs))
        for width, (us, times) in zip(theirs, beside):
            self.assertEqual(float(us), 12.0)
            self.assertAlmostEqual(float(times), width / ours, delta=0.051)

    def test_nothing_is_drawn_of_half_a_measurement(self) -> None:
        results = noisy()
        del results.values[picture.PANELS[-1].case]["uWSGI"]
        self.assertIsNone(picture.draw(results))


if __name__ == "__main__":
    unittest.main()
