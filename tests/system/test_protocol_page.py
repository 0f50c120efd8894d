"""mcptally-protocol(7) is the authority: its numbers are those of the code."""

import re

import pytest

from conftest import ROOT

PAGE = (ROOT / "man/mcptally-protocol.7").read_text()


def rows(file, table):
    """The rows of an X-macro table as lists of their arguments, texts without quotes."""
    text = (ROOT / file).read_text()
    body = re.search(rf"#define {table}\(X\)(.*?[^\\])\n", text, re.S)[1]
    return [[a.strip('"') for a in re.findall(r'"[^"]*"|\w+', row)]
            for row in re.findall(r'\bX\(((?:[^()"]|"[^"]*")*)\)', body)]


def numbered(word_number):
    """Every row of the page that gives a word a number."""
    return word_number in re.findall(r"^\.It Cm (\w+) Ta (\d+)", PAGE, re.M)


TABLES = {
    "frames": [(r[2], r[1]) for r in rows("src/wire/proto.h", "FRAME_TABLE")],
    "rejects": [(r[2], r[1]) for r in rows("src/wire/proto.h", "REJECT_TABLE")],
    "drops": [(r[1], str(i)) for i, r in enumerate(rows("src/model/drop.h", "DROP_TABLE"))],
    "losses": [(r[1], str(i)) for i, r in enumerate(rows("src/wire/proto.h", "LOST_TABLE"))],
}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_gives_the_numbers_of_the_table(table):
    assert len(TABLES[table]) >= 4
    assert [row for row in TABLES[table] if not numbered(row)] == []


def test_the_page_has_no_number_that_no_table_has():
    known = {row for table in TABLES.values() for row in table}
    assert set(re.findall(r"^\.It Cm (\w+) Ta (\d+)", PAGE, re.M)) <= known


def test_the_page_gives_the_limits():
    limits = re.findall(r"LIMIT_(\w+) = (\d+)", (ROOT / "src/model/limits.h").read_text())
    section = PAGE[PAGE.index(".Sh LIMITS"):PAGE.index(".Sh PROMISES")]
    given = set(re.findall(r" Ta (\d+)", section))
    assert len(limits) >= 18
    assert [name for name, value in limits if value not in given] == []


def test_the_daemons_page_gives_the_limits_of_otlp():
    limits = re.findall(r"LIMIT_(\w+) = (\d+)", (ROOT / "src/otlp/limits.h").read_text())
    page = (ROOT / "man/mcptallyd.8").read_text()
    section = page[page.index(".Ss Receiving OTLP"):page.index(".Ss Forwarding")]
    given = set(re.findall(r" Ta (\d+)", section))
    assert len(limits) >= 5
    assert [name for name, value in limits if value not in given] == []
