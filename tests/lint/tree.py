"""What the rules share: the files of a tree, and a way to say where something is wrong."""

import pathlib

NOT_OURS = {".git", "build", "autom4te.cache", "__pycache__", ".pytest_cache", "configure",
            "configure~"}


def entries(root):
    """Everything at the top that is part of the tree."""
    return sorted(p for p in root.iterdir() if p.name not in NOT_OURS)


def files(root, *patterns, under=("",)):
    """The tree's files that match a pattern, sorted."""
    found = set()
    for folder in under:
        for pattern in patterns:
            for path in (root / folder).glob("**/" + pattern):
                if path.is_file() and not NOT_OURS & set(path.relative_to(root).parts):
                    found.add(path)
    return sorted(found)


def sources(root):
    """The C files, ours all of them."""
    return files(root, "*.c", "*.h", under=("src", "tests"))


def lines(path):
    """(number, line) of a text file."""
    return enumerate(path.read_text(errors="replace").splitlines(), 1)


def code_lines(path):
    """(number, line) with comments and the contents of strings blanked out."""
    text, out, i, state = path.read_text(errors="replace"), [], 0, None
    while i < len(text):
        two, c = text[i:i + 2], text[i]
        if state is None and two in ("/*", "//"):
            state, i = two, i + 2
            out.append("  ")
            continue
        if state == "/*" and two == "*/":
            state, i = None, i + 2
            out.append("  ")
            continue
        if state == "//" and c == "\n":
            state = None
        elif state is None and c in "\"'":
            state = c
        elif state in ('"', "'"):
            if c == "\\":
                out.append("  ")
                i += 2
                continue
            if c == state or c == "\n":
                state = None
        inside = state is not None and c != "\n" and c != state
        out.append(" " if inside else c)
        i += 1
    return enumerate("".join(out).splitlines(), 1)


def module(root, path):
    """src/store/ring.c -> ("store", "ring")."""
    parts = path.relative_to(root).parts
    return parts[1], pathlib.Path(parts[-1]).stem
