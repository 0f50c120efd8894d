"""Rules that need only the text of a file."""

import re

from tree import code_lines, entries, files, lines, module, sources

TOP = {"Makefile", "configure.ac", "src", "conf", "systemd", "tests", "man", "packaging", "README",
       "COPYING"}
LONGEST_FILE = 800
LONGEST_FUNCTION = 66
WIDEST = 100

# Calls that have a bounded or checked sister.
BANNED = re.compile(r"\b(strcpy|strcat|stpcpy|sprintf|vsprintf|gets|atoi|atol|atof|alloca"
                    r"|tmpnam|mktemp|system|popen)\s*\(")
# Marks of work that is not done, put together so that this file has none.
UNDONE = re.compile(r"\b(%s)\b" % "|".join(a + b for a, b in (
    ("TO", "DO"), ("FIX", "ME"), ("X", "XX"), ("HA", "CK"), ("T", "BD"), ("W", "IP"))))


def check_top(root):
    """The top level holds what the design lists, beside dotfiles."""
    for path in entries(root):
        if path.name not in TOP and not path.name.startswith("."):
            yield f"{path}: not one of {' '.join(sorted(TOP))}"


def check_length(root):
    """Files stay short enough to be read in one go."""
    for path in files(root, "*.c", "*.h", "*.py", under=("src", "tests")):
        count = sum(1 for _ in lines(path))
        if count > LONGEST_FILE:
            yield f"{path}: {count} lines, {LONGEST_FILE} at most"


def check_functions(root):
    """No function is longer than a screen."""
    for path in sources(root):
        began = None
        for number, line in lines(path):
            if line == "{":
                began = number
            elif line.startswith("}"):
                if began and number - began > LONGEST_FUNCTION:
                    yield f"{path}:{began}: {number - began} lines, {LONGEST_FUNCTION} at most"
                began = None


def check_width(root):
    """Lines fit in the columns of .clang-format."""
    for path in files(root, "*.c", "*.h", "*.py", under=("src", "tests")):
        for number, line in lines(path):
            if len(line) > WIDEST:
                yield f"{path}:{number}: {len(line)} columns, {WIDEST} at most"


def check_banned(root):
    """No call that cannot be bounded or checked."""
    for path in sources(root):
        for number, line in code_lines(path):
            found = BANNED.search(line)
            if found:
                yield f"{path}:{number}: {found[1]}()"


def check_undone(root):
    """No marks of work left undone."""
    for path in files(root, "*"):
        if path.suffix in (".c", ".h", ".py", ".md", ".sh", ".in", ".ac", ".yaml", "") or \
                path.parent.name == "man":
            for number, line in lines(path):
                found = UNDONE.search(line)
                if found:
                    yield f"{path}:{number}: {found[1]}"


def check_guard(root):
    """An include guard is named after the file."""
    for path in files(root, "*.h", under=("src",)):
        room, stem = module(root, path)
        guard = "MCPTALLY_H" if stem == "mcptally" else f"MCPTALLY_{room}_{stem}_H".upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in path.read_text(errors="replace"):
            yield f"{path}: include guard {guard}"


def check_own_header(root):
    """A .c includes its own header first."""
    for path in files(root, "*.c", under=("src",)):
        room, stem = module(root, path)
        if not path.with_suffix(".h").exists():
            continue
        first = re.search(r"^\s*#\s*include\s+(\S+)", path.read_text(errors="replace"), re.M)
        if not first or first[1] not in (f'"{room}/{stem}.h"', f'"{stem}.h"'):
            yield f"{path}: its own header comes first"


def check_typedef(root):
    """No typedef hides a struct, the public header excepted."""
    for path in sources(root):
        if path.name == "mcptally.h":
            continue
        for number, line in code_lines(path):
            if re.match(r"\s*typedef\s+(struct|union|enum)\b", line):
                yield f"{path}:{number}: typedef of a struct, union or enum"


def check_blanks(root):
    """No tabs in C, no trailing blanks, and a newline at the end."""
    for path in files(root, "*.c", "*.h", "*.py", under=("src", "tests")):
        text = path.read_text(errors="replace")
        if text and not text.endswith("\n"):
            yield f"{path}: no newline at the end"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() or "\t" in line:
                yield f"{path}:{number}: tab or trailing blank"


RULES = [
    ("top", check_top, {"notes.txt": ""}),
    ("length", check_length, {"src/base/a.c": "\n" * 801}),
    ("functions", check_functions, {"src/base/a.c": "int f(void)\n{\n" + "    ;\n" * 70 + "}\n"}),
    ("width", check_width, {"src/base/a.c": "/*" + " " * 98 + "*/\n"}),
    ("banned", check_banned, {"src/base/a.c": "    strcpy(a, b); /* atoi() */\n"}),
    ("undone", check_undone, {"src/base/a.c": "/* TO" + "DO: all of it */\n"}),
    ("guard", check_guard, {"src/base/a.h": "#ifndef A_H\n#define A_H\n#endif\n"}),
    ("own-header", check_own_header, {"src/base/a.c": "#include <stdio.h>\n#include \"base/a.h\"\n",
                                      "src/base/a.h": "\n"}),
    ("typedef", check_typedef, {"src/base/a.h": "typedef struct a a;\n"}),
    ("blanks", check_blanks, {"src/base/a.c": "int a; \n"}),
]
