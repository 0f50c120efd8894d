"""The floors of src/: who may include whom."""

import re

from tree import code_lines, files, lines, module

FLOORS = {"base": 0, "model": 1, "wire": 1, "otlp": 1, "store": 2, "mcp": 2, "spool": 2,
          "pipeline": 3, "watch": 3, "format": 3, "forward": 3, "intake": 4, "serve": 4,
          "gate": 4, "helper": 4, "export": 4, "probe": 4, "daemon": 5}
# Rooms beside the house: what each may include.
ANNEXES = {"client": {"client", "wire", "model", "base"},
           "cli": {"cli", "client", *FLOORS} - {"daemon", "intake"}}

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
SYSTEM = re.compile(r"\s*#\s*include\s+<([^>]+)>")

# What would bring a clock, a file, a socket or the loop below floor 4.
OUTSIDE = re.compile(r"(sys/(socket|stat|mman|uio|epoll|un|file|time|timerfd|eventfd)|fcntl"
                     r"|unistd|time|poll|signal|pthread|netdb|netinet/.*|arpa/.*|event2/.*"
                     r"|microhttpd)\.h$")
# A variable at file scope: nothing before its type, no parenthesis of a function.
GLOBAL = re.compile(r"(static |_Thread_local |volatile )*(struct |enum |unsigned |long )*\w+ \**"
                    r"\w+(\[[^\]]*\])*( = [^(]*|;)$")
SINKS = {("base", "audit"), ("base", "log")}
NO_GLOBAL = re.compile(r"\bconst\b|^(return|goto|typedef)\b|^(struct|union|enum) \w+;")
ALLOWED_OUTSIDE = {("base", "clock"), ("base", "log")}


def room_of_include(root, path, name):
    """(room, stem) that an include names, None when it is not ours."""
    if name == "mcptally.h":
        return "client", "mcptally"
    room, _, rest = name.partition("/")
    return (room, rest.removesuffix(".h")) if rest else None


def may_include(room, other):
    if room in ANNEXES:
        return other in ANNEXES[room]
    return other in FLOORS and FLOORS[other] <= FLOORS[room]


def includes(root):
    """(path, line number, (room, stem), included (room, stem)) of every include under src/."""
    for path in files(root, "*.c", "*.h", under=("src",)):
        for number, line in lines(path):
            found = INCLUDE.match(line)
            if found:
                yield path, number, module(root, path), room_of_include(root, path, found[1])


def check_rooms(root):
    """Every folder of src/ is a room with a floor, and every file lies in one."""
    if not (root / "src").is_dir():
        return
    for path in sorted((root / "src").iterdir()):
        if path.name not in FLOORS and path.name not in ANNEXES:
            yield f"{path}: no floor for this in tests/lint/floors.py"


def check_floors(root):
    """A file includes what lies on its own floor or below, never above."""
    for path, number, (room, _), other in includes(root):
        if other is None:
            yield f"{path}:{number}: include it by its room, as in \"base/buf.h\""
        elif not may_include(room, other[0]):
            yield f"{path}:{number}: {room}/ may not include {other[0]}/"


def cycle(graph):
    """One cycle of a graph {node: nodes}, as a list, or None."""
    state = {}

    def visit(node, trail):
        state[node] = "open"
        for after in sorted(graph.get(node, ())):
            if state.get(after) == "open":
                return trail[trail.index(after):] + [after] if after in trail else None
            if after not in state:
                found = visit(after, trail + [after])
                if found:
                    return found
        state[node] = "done"
        return None

    for node in sorted(graph):
        if node not in state:
            found = visit(node, [node])
            if found:
                return found
    return None


def check_acyclic(root):
    """Includes are acyclic: between the rooms of a floor, and between headers."""
    rooms, headers = {}, {}
    for path, _, here, other in includes(root):
        if other is None:
            continue
        if here[0] != other[0]:
            rooms.setdefault(here[0], set()).add(other[0])
        if path.suffix == ".h" and here != other:
            headers.setdefault(here, set()).add(other)
    for graph, name in ((rooms, str), (headers, "/".join)):
        found = cycle(graph)
        if found:
            yield "src: includes go in a circle: " + " -> ".join(name(n) for n in found)


def check_outside(root):
    """Below floor 4 there is no clock, no file, no socket: they are arguments."""
    for path in files(root, "*.c", "*.h", under=("src",)):
        here = module(root, path)
        if FLOORS.get(here[0], 9) >= 4 or here in ALLOWED_OUTSIDE:
            continue
        for number, line in lines(path):
            found = SYSTEM.match(line)
            if found and OUTSIDE.match(found[1]):
                yield f"{path}:{number}: <{found[1]}> below floor 4"
        for number, line in code_lines(path):
            found = re.search(r"\bclock_now\s*\(", line)
            if found:
                yield f"{path}:{number}: clock_now() below floor 4"


def check_stated(root):
    """A header begins with what its module is, and states the floor that it has."""
    for path in files(root, "*.h", under=("src",)):
        room, stem = module(root, path)
        text = path.read_text(errors="replace")
        comment = text[:text.find("*/")] if text.startswith("/*") else ""
        if not comment.startswith((f"/* {stem}: ", f"/* {stem}.h: ")):
            yield f"{path}:1: begin with \"/* {stem}: what it is\""
        elif room in FLOORS and f"Floor {FLOORS[room]}." not in comment:
            yield f"{path}:1: the first comment should say \"Floor {FLOORS[room]}.\""


def check_globals(root):
    """No state outside of what a caller owns: globals are const, the sinks excepted."""
    for path in files(root, "*.c", under=("src",)):
        here = module(root, path)
        if FLOORS.get(here[0], 9) > 4 or here in SINKS:
            continue
        for number, line in code_lines(path):
            if GLOBAL.match(line) and not NO_GLOBAL.search(line):
                yield f"{path}:{number}: a global that is not const"


H = "/* a: x. Floor 0. */\n"
RULES = [
    ("rooms", check_rooms, {"src/attic/a.h": H}),
    ("floors", check_floors, {"src/base/a.c": '#include "store/store.h"\n'}),
    ("annexes", check_floors, {"src/client/a.c": '#include "store/store.h"\n'}),
    ("acyclic-rooms", check_acyclic, {"src/model/a.h": '#include "wire/b.h"\n',
                                      "src/wire/c.h": '#include "model/d.h"\n'}),
    ("acyclic-headers", check_acyclic, {"src/base/a.h": '#include "base/b.h"\n',
                                        "src/base/b.h": '#include "base/a.h"\n'}),
    ("no-outside", check_outside, {"src/store/a.c": "#include <fcntl.h>\n"}),
    ("no-clock", check_outside, {"src/store/a.c": "void f(void)\n{\n    clock_now();\n}\n"}),
    ("globals", check_globals, {"src/base/a.c": "static unsigned count;\n"}),
    ("stated", check_stated, {"src/base/a.h": "/* a: x. Floor 1. */\n"}),
]
