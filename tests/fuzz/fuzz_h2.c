/* The gRPC port without its sockets: a peer's bytes behind a preface that is good, in pieces
 * whose size the first byte says. However it ends, nothing is held and the ledger holds. */
#include <assert.h>

#include "../unit/memory_store.h"
#include "intake/otlp_grpc.h"
#include "store/commit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static struct memory_store ms;
static struct pipeline pl;
static struct otlp_intake in;
static struct buf out;

static void on_wake(void *arg)
{
    ++*(unsigned *)arg;
}

static void set_up(void)
{
    struct pipeline_options o;
    const struct otlp_intake_options limits = {
        .buffer = 1 << 20,
        .message = 64 << 10,
        .json = 64 << 10,
        .receive_timeout = NS_PER_S,
        .idle_timeout = 10 * NS_PER_S,
        .streams = 4,
    };
    memory_store_init(&ms);
    pipeline_defaults(&o);
    int r = pipeline_init(&pl, &ms.st, &o, memory_store_now);
    assert(r == 0);
    r = otlp_intake_init(&in, event_base_new(), &pl, &limits);
    assert(r == 0);
    buf_init(&out, 64 << 20);
}

static void check_ledger(void)
{
    uint64_t received = 0, done = 0;
    for (unsigned d = 0; d < pl.options.domains; d++) {
        received += own_get(&pl.own, OWN_RECEIVED, d);
        done += own_get(&pl.own, OWN_APPLIED, d);
        for (unsigned reason = 0; reason < DROP_MAX; reason++)
            done += own_get(&pl.own, OWN_DROPPED, own_drop_index(d, reason));
    }
    assert(received == done);
}

/* One piece, and what it leads to. */
static bool feed(struct grpc_session *s, const void *p, size_t n, uint64_t *now)
{
    *now += 10 * NS_PER_MS;
    const bool ok = grpc_session_feed(s, p, n, *now);
    event_base_loop(in.base, EVLOOP_NONBLOCK);
    (void)grpc_session_release(s);
    buf_reset(&out);
    assert(grpc_session_output(s, &out, 1 << 20));
    assert(in.budget.used <= in.options.buffer);
    if (grpc_session_deadline(s) <= *now)
        grpc_session_expire(s, *now);
    return ok && !grpc_session_over(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned wakes = 0;
    uint64_t now = 1000 * NS_PER_S;
    const struct grpc_session_hooks hooks = {.wake = on_wake, .arg = &wakes};
    if (!in.turn)
        set_up();
    if (size < 1)
        return 0;
    const size_t each = (size_t)data[0] * 4 + 1;
    struct grpc_session *s = grpc_session_new(&in, &hooks, now);
    assert(s && feed(s, preface, sizeof preface - 1, &now));
    for (size_t at = 1; at < size; at += each)
        if (!feed(s, data + at, size - at < each ? size - at : each, &now))
            break;
    grpc_session_free(s);
    while (in.njobs)
        event_base_loop(in.base, EVLOOP_ONCE);
    assert(in.budget.used == 0);
    check_ledger();
    return 0;
}
