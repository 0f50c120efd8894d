"""The rows of a report, the table they make, and the charts of its picture."""

from statistics import median

CLASSES = {"million/s": "throughput", "1/s": "throughput", "million/CPU s": "throughput",
           "ns": "latency", "us": "latency", "ms": "latency", "times": "latency",
           "s": "resources", "% of a core": "resources", "wakeups/s": "resources",
           "MiB": "resources", "KiB": "resources", "bytes": "resources",
           "": "errors", "%": "other"}


class Row:
    """One figure: its runs, those of its reference, and what the ratio of the two is to be."""

    def __init__(self, name, unit, values, reference=None, beside=(), ratio=None, goal=None,
                 text=""):
        self.name, self.unit, self.values = name, unit, list(values)
        self.reference, self.beside = reference, list(beside)
        self.ratio = ratio  # of the medians, as a number; None: there is none
        self.goal, self.text = goal, text  # goal: whether it is met; text: what it is
        self.suite = None  # set by who runs the suites
        self.kind = CLASSES[unit]

    def cells(self):
        def triple(values):
            if not values:
                return ""
            low, middle, high = min(values), median(values), max(values)
            return f"{low:.4g} / {middle:.4g} / {high:.4g}"

        verdict = "" if self.goal is None else ("met" if self.goal else "MISSED")
        return (self.name, self.unit, triple(self.values), self.reference or "",
                triple(self.beside), "" if self.ratio is None else f"{self.ratio:.3g}",
                self.text, verdict)

    def as_json(self):
        return {"suite": self.suite, "name": self.name, "unit": self.unit, "class": self.kind,
                "better": "higher" if self.kind == "throughput" else "lower",
                "runs": self.values, "median": median(self.values), "reference": self.reference,
                "reference_runs": self.beside, "ratio": self.ratio, "goal": self.text,
                "met": self.goal}


def beside(name, unit, mine, reference, theirs, limit=None):
    """A row whose goal, if any, is a ratio of the medians: at least it for a throughput, else at
    most."""
    ratio = median(mine) / median(theirs)
    more = CLASSES[unit] == "throughput"
    good = None if limit is None else (ratio >= limit if more else ratio <= limit)
    words = "" if limit is None else f"at {'least' if more else 'most'} {limit:g} times"
    return Row(name, unit, mine, reference, theirs, ratio, good, words)


charts = []


def chart(title, unit, x, lines, words=None, **more):
    """For the picture: lines are names and points, an x and its runs each. Charts `by` the same
    thing stand side by side; points are `joined` unless their x are words."""
    charts.append({"title": title, "unit": unit, "x": x, "lines": lines, **more,
                   **({"words": words} if words else {})})


HEAD = ("figure", "unit", "min / median / max", "reference", "min / median / max", "ratio", "goal",
        "")


def show(rows):
    table = [HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    for i, line in enumerate(table):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if i == 0:
            print("  ".join("-" * width for width in widths))
