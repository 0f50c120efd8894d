"""Rules that other programs judge: the compilers, clang-format, mandoc, the shell."""

import subprocess

from tree import files, sources

WARN = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def judge(command, root, **more):
    """None when a program is content, else the first lines of what it says."""
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False, **more)
    if done.returncode == 0 and not done.stdout.strip():
        return None
    return "\n".join(done.stdout.strip().splitlines()[:12]) or f"exit status {done.returncode}"


def check_headers(root):
    """Each header compiles alone."""
    for path in files(root, "*.h", under=("src",)):
        said = judge(["gcc", "-std=c11", "-D_GNU_SOURCE", "-Isrc", "-Isrc/client", *WARN,
                      "-fsyntax-only", "-x", "c", str(path)], root)
        if said:
            yield f"{path}: does not compile alone:\n{said}"


def check_public(root):
    """The public header compiles as strict C and as C++."""
    path = root / "src/client/mcptally.h"
    if path.exists():
        for command in (["gcc", "-std=c99", "-x", "c"], ["g++", "-std=c++11", "-x", "c++"]):
            said = judge([*command, *WARN, "-fsyntax-only", str(path)], root)
            if said:
                yield f"{path}: {' '.join(command)}:\n{said}"


def check_format(root):
    """clang-format would change nothing; make format applies it."""
    for path in sources(root):
        said = judge(["clang-format", "--dry-run", "-Werror", "--style=file", str(path)], root)
        if said:
            yield said


def check_pages(root):
    """mandoc has no complaint about a page."""
    for path in files(root, "*.[1-8]", under=("man",)):
        said = judge(["mandoc", "-T", "lint", "-W", "warning", str(path)], root)
        if said:
            yield said


def shebang(path):
    with open(path, "rb") as f:
        return f.readline(80).decode(errors="replace").rstrip()


def check_shell(root):
    """Shell scripts parse."""
    for path in files(root, "*"):
        if path.stat().st_mode & 0o100 and shebang(path) in ("#!/bin/sh", "#!/bin/sh -e"):
            said = judge(["sh", "-n", str(path)], root)
            if said:
                yield f"{path}: {said}"


def check_python(root):
    """Python files compile, and run under Debian's own interpreter."""
    for path in files(root, "*", under=("tests", "packaging")):
        first = shebang(path)
        if path.suffix != ".py" and "python" not in first:
            continue
        if first.startswith("#!") and first != "#!/usr/bin/python3":
            yield f"{path}:1: the tests run under /usr/bin/python3"
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"


RULES = [
    ("headers", check_headers, {"src/base/a.h": "size_t f(void);\n"}),
    ("public", check_public, {"src/client/mcptally.h": "int f(int class);\n"}),
    ("format", check_format, {"src/base/a.c": "int  a ;\n"}),
    ("pages", check_pages, {"man/a.1": ".Dd x\n.Dt A 1\n.Os\n.Sh NAME\n.Nm a\n.Bogus\n"}),
    ("shell", check_shell, {"tests/a": "#!/bin/sh\nif true; then\n"}),
    ("python", check_python, {"tests/a.py": "def f(:\n"}),
]
