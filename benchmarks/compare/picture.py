"""The picture for the README: CPU per request as bars, all on one scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Mapping

from .cases import hello, kept
from .results import Results

WIDTH = 720
LEFT, BAR_WIDTH = 96, 430
BAR, GAP, PANEL_GAP, TOP, PANEL_HEAD = 16, 7, 20, 58, 24
FOOTER = (
    f"One process, one thread, {hello.SATURATING} clients; CPU of all processes, user and system; medians."
)

STYLE = """\
    text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
    .title { font-size: 16px; font-weight: 600 }
    .panel { font-weight: 600 }
    .soft { fill: #57606a }
    .ours { fill: #0a7d4f }
    .theirs { fill: #9aa4af }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .soft { fill: #9da7b3 }
      .ours { fill: #3fb984 }
      .theirs { fill: #6b7682 }
    }"""


@dataclass(frozen=True)
class Panel:
    """One comparison: a case, and who was measured in it. `notes` say beside a bar what sets it apart."""

    title: str
    case: str
    contenders: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict)


PANELS = (
    Panel("Hello, directly on the socket", hello.SATURATED, ("scoter", "uWSGI", "gunicorn")),
    Panel("The same with an access log", hello.SATURATED_WITH_LOG, ("scoter", "uWSGI", "gunicorn")),
    Panel(
        "Hello through nginx, whose time is included",
        kept.SMALL.case(hello.SATURATING),
        (kept.KEPT, "scoter", "uWSGI", "granian", "gunicorn"),
        {
            kept.KEPT: "nginx with the module of nginx-conf/keepalive",
            "granian": "proxy_pass with keepalive",
        },
    ),
)
OURS = ("scoter", kept.KEPT)


@dataclass(frozen=True)
class Bar:
    """One bar: CPU in microseconds, and what stands beside it."""

    name: str
    us: float
    times: str
    note: str


def draw(results: Results) -> str | None:
    """Returns the SVG; none if not everything in it was measured."""
    bars: list[tuple[Panel, list[Bar]]] = []
    for panel in PANELS:
        ours = results.summary(panel.case, "scoter", "cpu")
        rows = []
        for name in panel.contenders:
            summary = results.summary(panel.case, name, "cpu")
            if ours is None or summary is None:
                return None
            # Of the bars, so that the eye finds the same. The report has the ratios of the rounds.
            times = "" if name == "scoter" else f"{summary.median / ours.median:.1f} ×"
            rows.append(Bar(name, summary.median, times, panel.notes.get(name, "")))
        bars.append((panel, rows))

    longest = max(row.us for _, rows in bars for row in rows)
    lines: list[str] = []
    y = TOP
    for panel, rows in bars:
        lines.append(f'  <text class="panel" x="16" y="{y + 4}">{escape(panel.title)}</text>')
        y += PANEL_HEAD - 8
        for row in rows:
            lines += drawn(row, y, row.us / longest)
            y += BAR + GAP
        y += PANEL_GAP
    lines.append(f'  <text class="soft" x="16" y="{y}">{escape(FOOTER)}</text>')
    height = y + 16
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"
     role="img">
  <title>CPU time per request of scoter, uWSGI, granian and gunicorn</title>
  <style>
{STYLE}
  </style>
  <text class="title" x="16" y="28">CPU time per request</text>
  <text class="soft" x="{WIDTH - 16}" y="28" text-anchor="end">microseconds, less is better; × scoter’s bar</text>
{chr(10).join(lines)}
</svg>
"""


def drawn(bar: Bar, y: int, share: float) -> list[str]:
    width = max(2.0, share * BAR_WIDTH)
    kind = "ours" if bar.name in OURS else "theirs"
    middle = y + BAR - 4
    beside = "".join(
        f'<tspan class="soft" dx="10">{escape(text)}</tspan>' for text in (bar.times, bar.note) if text
    )
    return [
        f'  <text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
        f'  <rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'  <text x="{LEFT + width + 8:.1f}" y="{middle}">{bar.us:.1f}{beside}</text>',
    ]
