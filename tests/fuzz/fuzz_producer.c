/* The producer's half of the protocol against a daemon that says anything: the first byte
 * of the input is the size of a piece, the rest is what comes. Its sums hold, what is sent
 * is whole frames, and a well-behaved daemon can still be spoken to afterwards. */
#include <assert.h>
#include <string.h>

#include "wire/encode.h"
#include "wire/producer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUEUE = 4096 };

static void set_up(struct producer *p)
{
    const struct producer_options o = {
        .session = {1}, .service = STR("fuzz"), .queue_bytes = QUEUE};
    const struct metric_def def = {.name = STR("m"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    producer_init(p, &o);
    const uint32_t metric = producer_define_metric(p, &def);
    assert(metric == 1 && producer_define_series(p, metric, NULL, 0) == 1);
}

static void check(const struct producer *p)
{
    /* The newest frame's buffer doubles when it grows. */
    assert(p->held <= p->queue_bytes + LIMIT_FRAME);
    assert(p->acknowledged + p->expired <= p->taken && p->rejected <= p->acknowledged);
    assert(p->acked < p->next);
}

/* Everything that it wants to say. */
static void drain(struct producer *p)
{
    struct str out[4];
    unsigned pieces;
    while ((pieces = producer_output(p, out, 4)) > 0) {
        size_t n = 0;
        for (unsigned i = 0; i < pieces; i++)
            n += out[i].n;
        assert(n > 0);
        producer_sent(p, n > 100 ? 100 : n);
    }
}

/* False when the connection ended. */
static bool feed(struct producer *p, const uint8_t *data, size_t size, size_t each)
{
    for (size_t at = 0; at < size; at += each) {
        (void)producer_update(p, 1, 1);
        drain(p);
        const int r = producer_feed(p, data + at, size - at < each ? size - at : each);
        check(p);
        if (r < 0)
            return false;
    }
    return true;
}

/* A session that the daemon does not contradict goes on; else another begins. */
static void end_well(struct producer *p)
{
    static const uint8_t again[16] = {2};
    struct buf b;
    buf_init(&b, 4096);
    producer_renew(p, again);
    assert(producer_connected(p) == 0);
    const struct welcome w = {
        .version = PROTO_VERSION, .store_id = 9, .max_frame = LIMIT_FRAME, .max_ids = 100};
    encode_welcome(&b, &w);
    assert(producer_update(p, 1, 1) == 0);
    drain(p);
    assert(producer_feed(p, (const uint8_t *)b.p, b.n) == 0);
    drain(p);
    buf_reset(&b);
    encode_ack(&b, 1);
    assert(producer_feed(p, (const uint8_t *)b.p, b.n) == 0 && producer_waiting(p) == 0);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct producer p;
    if (size < 1)
        return 0;
    set_up(&p);
    assert(producer_connected(&p) == 0);
    (void)feed(&p, data + 1, size - 1, (size_t)data[0] + 1);
    producer_disconnected(&p);
    check(&p);
    end_well(&p);
    producer_fini(&p);
    return 0;
}
