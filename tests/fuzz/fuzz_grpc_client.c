/* Bytes as what a collector sends to the gRPC client. The first byte says how many calls there
 * are and how the rest is cut into pieces. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "export/grpc_caller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 4 };

struct world {
    struct call calls[CALLS];
    unsigned sent, given_back;
    uint64_t now;
};

/* Each call comes back once, with an outcome that can be told. */
static void on_finished(void *arg, struct call *c, bool again)
{
    struct world *w = arg;
    assert(c >= w->calls && c < w->calls + w->sent && !c->client && !c->reply);
    assert(c->outcome.kind <= OUTCOME_REFUSED && c->outcome.message.n < CALL_MESSAGE);
    assert(!again || c->outcome.kind == OUTCOME_RETRY);
    c->client = (struct client *)c;
    w->given_back++;
}

static void pull(struct grpc_caller *g)
{
    struct str bytes = {"", 1};
    while (bytes.n)
        if (grpc_caller_pull(g, &bytes) < 0)
            return;
}

static void send_all(struct world *w, struct grpc_caller *g, unsigned calls)
{
    while (w->sent < calls && grpc_caller_may(g)) {
        struct call *c = &w->calls[w->sent++];
        buf_adds(&c->bytes, "a request of a few bytes");
        assert(grpc_caller_send(g, c, w->now) == 0);
    }
    pull(g);
}

static void feed_all(struct world *w, struct grpc_caller *g, struct str in, unsigned shape)
{
    const size_t piece = shape & 0x80 ? 1 : (size_t)(shape & 0x7c) + 1;
    const unsigned calls = 1 + (shape & 3);
    while (in.n > 0 && !grpc_caller_over(g)) {
        const size_t n = shape & 0x7c || shape & 0x80 ? (piece < in.n ? piece : in.n) : in.n;
        if (grpc_caller_feed(g, (struct str){in.p, n}, w->now) < 0)
            return;
        in = (struct str){in.p + n, in.n - n};
        w->now += NS_PER_MS;
        send_all(w, g, calls);
        if (grpc_caller_tick(g, w->now) < 0)
            return;
        assert(w->sent - w->given_back == grpc_caller_open(g));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct transport_stats stats = {0};
    struct setup setup = {.timeout = NS_PER_S, .keepalive = NS_PER_MS * 50, .concurrent = CALLS};
    struct endpoint to = {.host = "host", .authority = "host:4317", .path = "/", .port = 4317};
    struct world *w = calloc(1, sizeof *w);
    setup.stats = &stats;
    assert(w);
    w->now = NS_PER_S;
    for (unsigned i = 0; i < CALLS; i++) {
        buf_init(&w->calls[i].bytes, 64);
        w->calls[i].deadline = 10 * NS_PER_S;
    }
    struct grpc_caller *g = grpc_caller_new(&setup, &to, on_finished, w, w->now);
    assert(g);
    pull(g);
    if (size > 0)
        feed_all(w, g, (struct str){(const char *)data + 1, size - 1}, data[0]);
    grpc_caller_end(g, "the end");
    assert(w->sent == w->given_back);
    for (unsigned i = 0; i < CALLS; i++)
        buf_fini(&w->calls[i].bytes);
    free(w);
    return 0;
}
