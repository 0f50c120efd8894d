/* A conversation to the observer's session, as bytes of both directions: 0xFE switches to the
 * other one, 0xFD is a gap, 0xFC a second that passes, 0xFB the end of the direction. Fed at
 * once and byte by byte it must mean the same, and all that is told must be fit to be told. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "mcp/session.h"
#include "model/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SWITCH = 0xFE, GAP = 0xFD, SECOND = 0xFC, END = 0xFB, FIRST_MARK = END };

struct fuzz {
    struct mcp_session session;
    struct when now;
    uint64_t told; /* hash of all that was told */
};

static void tell(struct fuzz *f, const char *text)
{
    assert(text_utf8(str_of(text)));
    f->told = hash_bytes(text, strlen(text) + 1, f->told);
}

static void on_operation(void *arg, const struct mcp_operation *op)
{
    struct fuzz *f = arg;
    assert(strcmp(op->method, "_OTHER") == 0 || mcp_name_ok(NAME_METHOD, op->method));
    assert(op->tool[0] == 0 || op->prompt[0] == 0);
    assert(op->name[0] == 0 || mcp_name_ok(NAME_TOOL, op->name));
    assert(op->stop.mono >= op->start.mono);
    assert(!op->outcome->failed || op->outcome->error_type[0]);
    const char *const texts[] = {op->method,      op->tool,         op->prompt,
                                 op->name,        op->uri,          op->request_id,
                                 op->result_type, op->tracestate,   op->protocol_version,
                                 op->traceparent, op->error_message};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        tell(f, texts[i]);
}

static void on_session(void *arg, const struct mcp_session_ended *e)
{
    tell(arg, e->protocol_version);
    tell(arg, e->error_type);
}

static void on_initialize(void *arg, enum mcp_end end, const char *version)
{
    tell(arg, mcp_end_word(end));
    tell(arg, version);
}

static void on_peer(void *arg, enum mcp_side side, const char *name, const char *version)
{
    tell(arg, side == MCP_SERVER ? "server" : "client");
    tell(arg, name);
    tell(arg, version);
}

static void on_tools(void *arg, uint32_t count, uint64_t bytes)
{
    struct fuzz *f = arg;
    assert(bytes > count);
    f->told = hash_bytes(&bytes, sizeof bytes, f->told + count);
}

static const struct mcp_sink sink = {on_operation, on_session, on_initialize, on_peer, on_tools};

static void mark(struct fuzz *f, uint8_t byte, enum mcp_direction *d)
{
    switch (byte) {
    case SWITCH:
        *d = *d == MCP_UP ? MCP_DOWN : MCP_UP;
        break;
    case GAP:
        mcp_session_lost(&f->session, *d, 100, false, f->now);
        break;
    case SECOND:
        f->now.mono += NS_PER_S;
        mcp_session_tick(&f->session, f->now);
        break;
    default:
        mcp_session_close(&f->session, *d, f->now);
        break;
    }
}

/* Bytes until the next mark, `most` of them. */
static size_t piece(const uint8_t *p, size_t n, size_t most)
{
    size_t i = 0;
    while (i < n && i < most && (p[i] < FIRST_MARK || p[i] > SWITCH))
        i++;
    return i;
}

static void play(struct fuzz *f, const uint8_t *p, size_t n, size_t most)
{
    const struct mcp_limits limits = {
        .pending_max = 4, .pending_age = 3 * NS_PER_S, .late_age = NS_PER_S};
    enum mcp_direction d = MCP_UP;
    *f = (struct fuzz){.now = {.mono = 1, .wall = 1}};
    assert(mcp_session_init(&f->session, &limits, &sink, f) == 0);
    while (n > 0) {
        size_t k = piece(p, n, most);
        if (k)
            mcp_session_feed(&f->session, d, (const char *)p, k, f->now);
        else
            mark(f, p[k++], &d);
        p += k;
        n -= k;
    }
    mcp_session_end(&f->session, MCP_END_CLOSED, f->now);
    assert(mcp_session_in_flight(&f->session, MCP_SERVER) == 0);
    assert(mcp_session_in_flight(&f->session, MCP_CLIENT) == 0);
    assert(mcp_session_streams(&f->session) == 0);
    mcp_session_fini(&f->session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz whole, bytes;
    play(&whole, data, size, size);
    play(&bytes, data, size, 1);
    assert(whole.told == bytes.told);
    assert(memcmp(whole.session.counts, bytes.session.counts, sizeof whole.session.counts) == 0);
    return 0;
}
