/* fuzz_store: a store of which bytes have been changed, as a reader and as a daemon
 * that starts meet it. Neither may crash; the daemon may refuse it.
 *
 * The input is patches of five bytes, u32 offset and value, over a good store; the
 * checksum of its head is made right again, so that what lies behind it is met. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/copy.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "lives.h"

enum { PATCH = 5, PATCHES = 64, WALK = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a good store ---- */

static void add_series(struct store *st, const char *name, enum metric_kind kind)
{
    struct metric_def def = {.name = str_of(name), .kind = kind, .type = VALUE_F64};
    struct series_ask ask = {.labels = STR("service_name=\"s\",k=\"v\""),
                             .group = STR("service_name=\"s\""),
                             .cardinality = 10,
                             .now = now};
    uint64_t cells;
    uint32_t series;
    if (kind == METRIC_HISTOGRAM)
        def.bounds[def.nbounds++] = 1;
    int r = metric_define(st, &def, false, &ask.metric);
    assert(r == 0);
    r = series_make(st, &ask, &series);
    assert(r == 0);
    const enum cell_op op = series_target(st, series, 1, &cells);
    r = cell_apply(st, op, cells, f64_bits(0.5), 16);
    assert(r == 0);
    store_commit(st);
}

static uint8_t *make_good(void)
{
    static const uint8_t id[16] = {1};
    const struct session_ask ask = {.id = id, .service = STR("s"), .now = now};
    const struct ring_item item = {.kind = 8, .service = STR("s"), .body = STR("a body")};
    uint8_t *mem = aligned_alloc(4096, SIZE);
    struct store st;
    assert(mem);
    memset(mem, 0, SIZE);
    int r = store_attach(&st, mem, SIZE, &me, reserve, NULL, now);
    assert(r == STORE_CREATED);
    const uint32_t session = session_make(&st, &ask);
    assert(session == 1);
    add_series(&st, "c", METRIC_COUNTER);
    add_series(&st, "g", METRIC_GAUGE);
    add_series(&st, "h", METRIC_HISTOGRAM);
    add_series(&st, "q", METRIC_SUMMARY);
    for (int i = 0; i < 5; i++) {
        r = ring_append(&st, RING_EVENTS, &item);
        assert(r == 0);
    }
    store_commit(&st);
    store_detach(&st, false);
    return mem;
}

static void patch(uint8_t *mem, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + PATCH <= size && i < PATCH * PATCHES; i += PATCH)
        mem[get_u32(data + i) % SIZE] = data[i + 4];
    struct store_head *h = (struct store_head *)(void *)mem;
    h->magic = STORE_MAGIC;
    h->static_sum = hash_bytes(h, offsetof(struct store_head, static_sum), h->version);
}

/* ---- a reader ---- */

static void read_series(const struct store *st, const struct metric_view *m)
{
    struct series_view s;
    struct sample v;
    unsigned n = 0;
    for (uint32_t i = m->first; i && n < WALK && series_read(st, i, &s); i = s.next, n++) {
        struct str text = s.labels, key, value;
        series_sample(st, m, &s, &v);
        (void)series_quantile(st, m, &s, 0.5, now.mono);
        (void)sample_quantile(m, &v, 0.9);
        while (labels_next(&text, &key, &value))
            n++;
    }
}

static void read_ring(const struct store *st, enum store_ring_id ring)
{
    static char copy[RING_COPY] __attribute__((aligned(16)));
    struct ring_view v;
    uint64_t pos = ring_tail(st, ring);
    for (int n = 0; n < WALK && ring_read(st, ring, &pos, copy, sizeof copy, &v) == 1; n++)
        assert(v.body.n <= sizeof copy && v.service.n <= LIMIT_SERVICE + 128);
}

static void read_all(const uint8_t *mem)
{
    struct store st;
    struct metric_view m;
    struct session_view s;
    struct part_view p;
    if (store_attach_reader(&st, mem, SIZE) < 0)
        return;
    for (uint32_t i = 0; i < metric_ids(&st) && i < WALK; i++)
        if (metric_read(&st, i, &m))
            read_series(&st, &m);
    (void)metric_find(&st, STR("h"), &m);
    for (uint32_t i = 0; i < session_ids(&st) && i < WALK; i++)
        (void)session_read(&st, i, &s);
    for (uint32_t i = 0; i < part_ids(&st) && i < WALK; i++)
        (void)part_read(&st, i, &p);
    read_ring(&st, RING_EVENTS);
    read_ring(&st, RING_SPANS);
}

/* ---- a daemon that starts ---- */

static void start(uint8_t *mem)
{
    struct store st;
    if (store_attach(&st, mem, SIZE, &me, reserve, NULL, now) >= 0)
        store_detach(&st, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *good;
    if (!good)
        good = make_good();
    uint8_t *mem = aligned_alloc(4096, SIZE);
    assert(mem);
    memcpy(mem, good, SIZE);
    patch(mem, data, size);
    read_all(mem);
    start(mem);
    free(mem);
    return 0;
}
