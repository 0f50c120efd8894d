"""The X-macro tables and the pages to read: what a table has, its pages name."""

import re

# table, its file, the page that must name every row by its first string
TABLES = (
    ("FRAME_TABLE", "src/wire/proto.h", "man/mcptally-protocol.7"),
    ("REJECT_TABLE", "src/wire/proto.h", "man/mcptally-protocol.7"),
    ("LOST_TABLE", "src/wire/proto.h", "man/mcptally-protocol.7"),
    ("DROP_TABLE", "src/model/drop.h", "man/mcptally-protocol.7"),
    ("DROP_TABLE", "src/model/drop.h", "man/mcptally-metrics.7"),
    ("OWN_TABLE", "src/pipeline/own.h", "man/mcptally-metrics.7"),
    ("OWN_OUTCOME_TABLE", "src/pipeline/own.h", "man/mcptally-metrics.7"),
    ("OWN_HTTP_REASON_TABLE", "src/pipeline/own.h", "man/mcptally-metrics.7"),
    ("WEB_HEADER_TABLE", "src/gate/web_config.h", "man/mcptallyd-web.yaml.5"),
    ("WEB_CLIENT_AUTH_TABLE", "src/gate/web_config.h", "man/mcptallyd-web.yaml.5"),
    ("CONFIG_TABLE", "src/daemon/config_table.h", "man/mcptallyd.yaml.5"),
)
COMMANDS = ("COMMAND_TABLE", "src/cli/cli.h", "man/mcptally.1")
PUBLIC = ("src/client/mcptally.h", "man/libmcptally.3")


def body(root, name, file):
    """The rows of a table as one text, strings over several lines joined."""
    path = root / file
    text = path.read_text() if path.exists() else ""
    found = re.search(rf"#define {name}\(X\)(.*?[^\\])\n", text, re.S)
    return re.sub(r'"\s*\\?\s*"', "", found[1].replace("\\\n", "\n")) if found else None


def rows(root, name, file):
    """The first string of each row, None when there is no such table."""
    text = body(root, name, file)
    return None if text is None else re.findall(r'\bX\([^"]*"([^"]+)"', text)


def page(root, file):
    """A page as plain words, None when there is none."""
    path = root / file
    return re.sub(r"\\&|\\", "", path.read_text()) if path.exists() else None


def missing(words, text):
    return [w for w in words if not re.search(rf"(?<![\w.]){re.escape(w)}(_total)?(?!\w)", text)]


def compare(words, table, file):
    def check(root):
        text = page(root, file)
        if text is None:
            yield f"{file}: no such page, for {table}"
        else:
            for word in missing(words(root) or [table], text):
                yield f"{file}: does not name {word} of {table}"
    return check


def check_tables(root):
    """Every row of a table is named by its page."""
    for name, source, file in TABLES:
        if (root / source).exists():
            words = lambda r, n=name, s=source: rows(r, n, s)
            yield from compare(words, name, file)(root)


def check_commands(root):
    """Every subcommand has its words in mcptally(1)."""
    name, source, file = COMMANDS
    words = lambda r: re.findall(r"\bX\((\w+),", body(r, name, source) or "")
    yield from compare(words, name, file)(root)


def check_functions(root):
    """Every public function is in libmcptally(3)."""
    source, file = PUBLIC
    path = root / source
    found = re.compile(r"^MCPTALLY_API\s[^;(]*?\b(mcptally_\w+)\(", re.M)
    words = lambda _: found.findall(path.read_text())
    if path.exists():
        yield from compare(words, source, file)(root)


TABLE = '#define DROP_TABLE(X) \\\n    X(A, "apple", "x") \\\n    X(B, "pear", "y")\n'
RULES = [
    ("tables", check_tables, {"src/model/drop.h": TABLE, "man/mcptally-protocol.7": "apple\n",
                              "man/mcptally-metrics.7": "apple\npear\n"}),
    ("commands", check_commands, {"src/cli/cli.h": '#define COMMAND_TABLE(X) X(run, "x")\n',
                                  "man/mcptally.1": "running\n"}),
    ("public-functions", check_functions, {
        "src/client/mcptally.h": "MCPTALLY_API int mcptally_fd(mcptally *m);\n",
        "man/libmcptally.3": "mcptally_fdx\n"}),
]
