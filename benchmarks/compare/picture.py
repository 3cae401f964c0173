"""The picture for the README: CPU per request as bars, all on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from .cases import hello, nginx
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
    """One comparison: a case, and who was measured in it."""

    title: str
    case: str
    contenders: tuple[str, ...]


PANELS = (
    Panel("Hello, directly on the socket", hello.SATURATED, ("scoter", "uWSGI", "gunicorn")),
    Panel("The same with an access log", hello.SATURATED_WITH_LOG, ("scoter", "uWSGI", "gunicorn")),
    Panel(
        "Hello through nginx, whose time is included",
        nginx.SATURATED,
        ("scoter", "uWSGI", "granian", "gunicorn"),
    ),
)


def draw(results: Results) -> str | None:
    """Returns the SVG; none if not everything in it was measured."""
    bars: list[tuple[Panel, list[tuple[str, float, str]]]] = []
    for panel in PANELS:
        ours = results.summary(panel.case, "scoter", "cpu")
        rows = []
        for name in panel.contenders:
            summary = results.summary(panel.case, name, "cpu")
            if ours is None or summary is None:
                return None
            # Of the bars, so that the eye finds the same. The report has the ratios of the rounds.
            times = "" if name == "scoter" else f"{summary.median / ours.median:.1f} ×"
            rows.append((name, summary.median, times))
        bars.append((panel, rows))

    longest = max(us for _, rows in bars for _, us, _ in rows)
    lines: list[str] = []
    y = TOP
    for panel, rows in bars:
        lines.append(f'  <text class="panel" x="16" y="{y + 4}">{escape(panel.title)}</text>')
        y += PANEL_HEAD - 8
        for name, us, times in rows:
            lines += bar(y, name, us, times, us / longest)
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


def bar(y: int, name: str, us: float, times: str, share: float) -> list[str]:
    width = max(2.0, share * BAR_WIDTH)
    kind = "ours" if name == "scoter" else "theirs"
    middle = y + BAR - 4
    times = f'<tspan class="soft" dx="10">{times}</tspan>' if times else ""
    return [
        f'  <text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>',
        f'  <rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'  <text x="{LEFT + width + 8:.1f}" y="{middle}">{us:.1f}{times}</text>',
    ]
