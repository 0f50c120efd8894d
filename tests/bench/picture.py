"""The picture of a bench: an SVG of charts in two columns, written by hand.

A chart is a title, a unit and lines; a line is a name and points (x, [runs]), whose median is
drawn with a bar from the least to the greatest run. What a name says after a comma is how the
line is drawn: the same colour as the others before that comma, and dashes, or hollow dots where
points are not joined. Axes are logarithmic, but for words, which stand for 1, 2, 3.
Charts by the same thing stand side by side, throughput first."""

import math
from statistics import median
from xml.sax.saxutils import escape

WIDTH, HEIGHT, GAP, MARGIN = 570, 330, 20, 24  # of a chart; between two; around all
HEAD = 84
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 78, 52      # of the plot in its chart
LETTER = 6.6                                   # pixels that one takes in a legend, about
COLOURS = ("#1763a6", "#c8501e", "#2c8a57", "#7b4fa3", "#a97b00", "#555555")
INK, PALE, GRID = "#1c2733", "#5b6875", "#e4e8ec"


def number(v):
    """Short: 1000000 is 1M, 0.0005 is 0.0005."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(v) >= size:
            return f"{v / size:.4g}{letter}"
    return f"{v:.3g}"


class Axis:
    """Values to pixels, by their logarithm; ticks at powers of ten, and between when few."""

    def __init__(self, values, start, end, room=0.0):
        low, high = min(values), max(values)
        self.low, self.high = math.log10(low), math.log10(high)
        room = max(room * (self.high - self.low), (0.6 - self.high + self.low) / 2)
        self.low, self.high = self.low - room, self.high + room
        self.start, self.end = start, end

    def at(self, v):
        share = (math.log10(v) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1,) if self.high - self.low > 2.2 else (1, 2, 5)
        return [m * 10.0 ** p for p in powers for m in steps
                if self.low <= math.log10(m * 10.0 ** p) <= self.high]


def attributes(more):
    return "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())


def text(x, y, words, anchor="start", size=12, **more):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
            f"{attributes(more)}>{escape(words)}</text>")


def stroke(x1, y1, x2, y2, colour, width=1, **more):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{attributes(more)}/>')


def style_of(names):
    """A colour for what is before the comma, dashes for all but the first of each."""
    bases, seen, styles = [], set(), {}
    for name in names:
        base = name.split(",")[0]
        if base not in bases:
            bases.append(base)
        dashes = {"stroke_dasharray": "5 4"} if base in seen else {}
        seen.add(base)
        styles[name] = (COLOURS[bases.index(base) % len(COLOURS)], dashes)
    return styles


def frame(chart, xs, x, y):
    """Title, grid and labels."""
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="white" stroke="#d5dbe1"/>',
             text(16, 27, chart["title"], size=16, fill=INK, font_weight="bold"),
             text(WIDTH - RIGHT, 27, chart["unit"], "end", fill=PALE)]
    for v in y.ticks():
        parts += [stroke(LEFT, y.at(v), WIDTH - RIGHT, y.at(v), GRID),
                  text(LEFT - 8, y.at(v) + 4, number(v), "end", fill=PALE)]
    words = chart.get("words")
    for v in sorted(xs):
        label = words[round(math.log10(v)) - 1] if words else number(v)
        parts += [stroke(x.at(v), HEIGHT - BOTTOM, x.at(v), HEIGHT - BOTTOM + 5, PALE),
                  text(x.at(v), HEIGHT - BOTTOM + 19, label, "middle", fill=INK)]
    parts += [stroke(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, PALE),
              text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, chart["x"], "middle", fill=PALE)]
    return parts


def dot(x, y, colour, hollow):
    fill = "white" if hollow else colour
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}" '
            'stroke-width="2"/>')


def legend(styles, joined):
    parts, at = [], 16.0
    for name, (colour, dashes) in styles.items():
        sign = (f'<path d="M{at} 49h24" stroke="{colour}" stroke-width="3"{attributes(dashes)}/>'
                if joined else dot(at + 16, 49, colour, dashes))
        parts += [sign, text(at + 30, 53, name, fill=INK)]
        at += 30 + LETTER * len(name) + 18
    return parts


def line(points, x, y, colour, dashes, joined):
    parts, path = [], []
    for at, runs in sorted(points):
        px, py = x.at(at), y.at(median(runs))
        if not joined:
            parts.append(stroke(px, HEIGHT - BOTTOM, px, py, colour, 1, opacity="0.35"))
        parts += [stroke(px, y.at(min(runs)), px, y.at(max(runs)), colour, 3, opacity="0.35"),
                  dot(px, py, colour, dashes and not joined)]
        path.append(f"{px:.1f},{py:.1f}")
        if not joined:
            parts.append(text(px + 9, py + 4, number(median(runs)), size=11, fill=PALE))
    if joined and len(path) > 1:
        parts.append(f'<polyline points="{" ".join(path)}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"{attributes(dashes)}/>')
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
    x = Axis(xs, LEFT + 20, WIDTH - RIGHT - 30)
    y = Axis(ys, HEIGHT - BOTTOM, TOP, 0.08)
    styles = style_of(lines)
    joined = chart.get("joined", "words" not in chart)
    parts = frame(chart, xs, x, y) + legend(styles, joined)
    for name, points in lines.items():
        parts += line(points, x, y, *styles[name], joined)
    return parts


def rows_of(charts):
    """Charts in rows of two: those by the same thing, and then the others as they come."""
    pairs, others = {}, []
    for chart in charts:
        if chart.get("by"):
            pairs.setdefault(chart["by"], []).append(chart)
        else:
            others.append(chart)
    rows = [sorted(pair, key=lambda c: not c["title"].startswith("Throughput"))
            for pair in pairs.values()]
    return rows + [others[i:i + 2] for i in range(0, len(others), 2)]


def svg(charts, heading):
    """The whole picture as text; heading: the machine and the versions."""
    rows = [[parts for parts in map(draw, row) if parts] for row in rows_of(charts)]
    rows = [row for row in rows if row]
    width = 2 * MARGIN + 2 * WIDTH + GAP
    height = HEAD + (HEIGHT + GAP) * len(rows) + MARGIN - GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
           '<rect width="100%" height="100%" fill="#f6f8fa"/>',
           text(MARGIN, 38, "mcptally bench", size=22, fill=INK, font_weight="bold"),
           text(MARGIN, 62, heading, size=13, fill=PALE)]
    for i, row in enumerate(rows):
        for k, parts in enumerate(row):
            at = f"{MARGIN + k * (WIDTH + GAP)} {HEAD + i * (HEIGHT + GAP)}"
            out += [f'<g transform="translate({at})">', *parts, "</g>"]
    return "\n".join(out + ["</svg>"]) + "\n"
