/* Bytes as what an MCP server answers to us. The first byte chooses era and framing; however
 * the rest is cut into pieces, the verdict is the same, and one is never taken back. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "mcp/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_due(struct mcp_ask *a)
{
    struct buf out;
    buf_init(&out, 4096);
    for (int n = 0; mcp_ask_next(a, &out); n++)
        assert(n < 4 && !mcp_ask_over(a));
    assert(!out.failed);
    buf_fini(&out);
}

static void converse(struct mcp_ask *a, const uint8_t *data, size_t size, size_t piece)
{
    mcp_ask_init(a, (enum mcp_era)(data[0] % 3));
    mcp_ask_framing(a, (enum mcp_framing)(data[0] / 3 % 3));
    for (size_t i = 1; i < size; i += piece) {
        const enum mcp_ask_state before = a->state;
        const bool over = mcp_ask_over(a);
        send_due(a);
        mcp_ask_feed(a, (const char *)data + i, size - i < piece ? size - i : piece);
        assert(a->state >= before && (!over || a->state == before));
    }
    mcp_ask_finish(a);
    assert(strlen(a->why) < sizeof a->why);
    assert(a->state != MCP_ASK_BAD || a->why[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 7, 4096};
    struct mcp_ask first, other;
    if (size < 1)
        return 0;
    converse(&first, data, size, size);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        converse(&other, data, size, pieces[i]);
        assert(other.state == first.state && strcmp(other.why, first.why) == 0);
    }
    return 0;
}
