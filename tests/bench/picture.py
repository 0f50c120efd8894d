"""The picture of a bench: an SVG of charts, one below the other, written by hand.

A chart is a title, a unit and lines; a line is a name and points (x, [runs]), whose median is
drawn with a bar from the least to the greatest run. Axes are logarithmic."""

import math
from statistics import median
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 300     # of a chart
LEFT, RIGHT, TOP, BOTTOM = 80, 230, 44, 50
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#444444")


def number(v):
    """Short: 1000000 is 1M, 0.0005 is 0.0005."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(v) >= size:
            return f"{v / size:.4g}{letter}"
    return f"{v:.3g}"


class Axis:
    """Values to pixels, by their logarithm; ticks at powers of ten, and between when few."""

    def __init__(self, values, start, end):
        low, high = min(values), max(values)
        self.low = math.log10(low) - 0.06
        self.high = max(math.log10(high) + 0.06, self.low + 0.3)
        self.start, self.end = start, end

    def at(self, v):
        share = (math.log10(v) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1,) if self.high - self.low > 2.5 else (1, 2, 5)
        return [m * 10.0 ** p for p in powers for m in steps
                if self.low <= math.log10(m * 10.0 ** p) <= self.high]


def text(x, y, words, anchor="start", size=12, **more):
    extra = "".join(f' {key}="{value}"' for key, value in more.items())
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{extra}>'
            f"{escape(words)}</text>")


def stroke(x1, y1, x2, y2, colour, width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def frame(chart, xs, x, y):
    """Title, grid and labels. Words on the x axis stand for 1, 2, 3."""
    parts = [text(LEFT, 24, f"{chart['title']} ({chart['unit']})", size=15, fill="#111")]
    for v in y.ticks():
        parts += [stroke(LEFT, y.at(v), WIDTH - RIGHT, y.at(v), "#dddddd"),
                  text(LEFT - 8, y.at(v) + 4, number(v), "end")]
    words = chart.get("words")
    for v in sorted(xs):
        label = words[round(math.log10(v)) - 1] if words else number(v)
        parts += [stroke(x.at(v), HEIGHT - BOTTOM, x.at(v), HEIGHT - BOTTOM + 5, "#777777"),
                  text(x.at(v), HEIGHT - BOTTOM + 20, label, "middle")]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, chart["x"], "middle",
                      fill="#555"))
    return parts


def line(points, x, y, colour, joined):
    parts, path = [], []
    for at, runs in sorted(points):
        px, py = x.at(at), y.at(median(runs))
        parts += [stroke(px, y.at(min(runs)), px, y.at(max(runs)), colour, 2),
                  f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}"/>']
        path.append(f"{px:.1f},{py:.1f}")
    if joined and len(path) > 1:
        parts.append(f'<polyline points="{" ".join(path)}" fill="none" stroke="{colour}" '
                     'stroke-width="2"/>')
    return parts


def draw(chart):
    spread = (lambda at: 10 ** at) if "words" in chart else (lambda at: at)  # words: evenly
    lines = {name: [(spread(at), runs) for at, runs in points if runs and min(runs) > 0]
             for name, points in chart["lines"].items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    xs = {at for points in lines.values() for at, _ in points}
    ys = [run for points in lines.values() for _, runs in points for run in runs]
    x = Axis(xs, LEFT + 20, WIDTH - RIGHT - 20)
    y = Axis(ys, HEIGHT - BOTTOM, TOP)
    parts = frame(chart, xs, x, y)
    for i, (name, points) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        parts += line(points, x, y, colour, "words" not in chart)
        row = TOP + 10 + 20 * i
        parts += [stroke(WIDTH - RIGHT + 16, row - 4, WIDTH - RIGHT + 40, row - 4, colour, 3),
                  text(WIDTH - RIGHT + 46, row, name)]
    return parts


def svg(charts, heading):
    """The whole picture as text; heading: the machine and the versions."""
    drawn = [parts for parts in map(draw, charts) if parts]
    height = 40 + HEIGHT * len(drawn)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
           '<rect width="100%" height="100%" fill="white"/>', text(12, 24, heading, fill="#333")]
    for i, parts in enumerate(drawn):
        out += [f'<g transform="translate(0 {40 + i * HEIGHT})">', *parts, "</g>"]
    return "\n".join(out + ["</svg>"]) + "\n"
