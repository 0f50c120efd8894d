/* Bytes as an audit log, line by line, and as log lines that are to be shown in plain form.
 * A record that can be read is written and read again the same; every line is counted as
 * one thing; what is shown is one line without control characters. */
#include <assert.h>
#include <stdint.h>

#include "format/audit_text.h"
#include "format/log_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read was written by somebody else: only what we write is cut and cleaned. */
static void check_record(struct str line)
{
    struct audit_record once, twice;
    struct buf out;
    json_t *doc, *again;
    if (audit_read(line, &once, &doc) < 0)
        return;
    buf_init(&out, 4 * AUDIT_LINE_MAX);
    audit_write(&out, &once);
    assert(!out.failed && out.n < AUDIT_LINE_MAX);
    assert(audit_read((struct str){out.p, out.n - 1}, &twice, &again) == 0);
    assert(once.seq == twice.seq && once.wall / 1000 == twice.wall / 1000);
    assert(once.who.uid == twice.who.uid && once.who.pid == twice.who.pid);
    json_decref(again);
    json_decref(doc);
    buf_fini(&out);
}

static void check_plain(struct str line)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    log_plain_again(&out, line, false);
    assert(out.n > 0 && out.p[out.n - 1] == '\n');
    for (size_t i = 0; i + 1 < out.n; i++)
        assert((unsigned char)out.p[i] >= ' ' && out.p[i] != 0x7f);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct audit_chain chain = {0};
    struct str rest = {(const char *)data, size};
    uint64_t lines = 0;
    if (size > 1 << 16)
        return 0;
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        const struct str line = {rest.p, end ? (size_t)(end - rest.p) : rest.n};
        const size_t whole = line.n + (end != NULL);
        audit_chain_add(&chain, line);
        check_record(line);
        check_plain(line);
        lines++;
        rest.p += whole;
        rest.n -= whole;
    }
    assert(chain.lines + chain.repeated + chain.unreadable == lines);
    assert(chain.broken <= chain.lines);
    return 0;
}
