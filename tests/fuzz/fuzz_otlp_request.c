/* An OTLP request behind a byte that says its signal, applied to a store in small steps,
 * and applied again after the daemon has died: the ledger balances, the store is whole,
 * and what the rings keep can be read. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "otlp/record.h"
#include "pipeline/otlp.h"
#include "pipeline/redact.h"
#include "store/read.h"
#include "../unit/otlp_whole.h"

enum { SIZE = STORE_MIN, STEP = 300, ROUNDS = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct when now = {1000 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S};
static const struct store_identity me = {{1, 2}, 7, 0, 9};

static int reserve(void *arg, uint64_t offset, uint64_t size)
{
    (void)arg;
    return offset + size <= SIZE ? 0 : -ERR_FULL;
}

static uint64_t own_all(const struct pipeline *pl, enum own_metric m, unsigned each)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < pl->options.domains * each; i++)
        n += own_get(&pl->own, m, i);
    return n;
}

static void check_rings(const struct store *st)
{
    static char copy[RING_COPY];
    struct str resource, scope, item;
    struct otlp_metric m;
    struct ring_view v;
    otlp_metric_init(&m);
    for (int ring = 0; ring < RING_MAX; ring++) {
        uint64_t at = ring_tail(st, (enum store_ring_id)ring);
        while (ring_read(st, (enum store_ring_id)ring, &at, copy, sizeof copy, &v) == 1) {
            int bad = otlp_part(v.body, &resource, &scope, &item);
            assert(bad == 0);
            bad = v.kind == RECORD_OTLP_METRIC ? metric_whole(item, &m) : 0;
            assert(bad == 0);
        }
    }
    otlp_metric_fini(&m);
}

/* Applies the request, and says how many items it had. */
static uint64_t apply(struct pipeline *pl, enum otlp_signal signal, const uint8_t *data, size_t n)
{
    struct otlp_result result;
    uint8_t *copy = malloc(n ? n : 1);
    assert(copy);
    memcpy(copy, data, n);
    struct otlp_request *r = otlp_request_new(pl, signal, copy, n);
    assert(r);
    while (otlp_request_step(r, STEP, now))
        assert(pl->st->undo_used == 0);
    otlp_request_result(r, &result);
    assert(!result.unreadable || result.accepted == 0);
    assert((result.rejected > 0) == (result.message.n > 0));
    otlp_request_free(r);
    return result.accepted + result.rejected;
}

static void check_all(const struct pipeline *pl, uint64_t items)
{
    char why[128];
    const uint64_t received = own_all(pl, OWN_RECEIVED, 1);
    assert(received == items);
    assert(received == own_all(pl, OWN_APPLIED, 1) + own_all(pl, OWN_DROPPED, DROP_MAX));
    const int bad = store_check(pl->st, why, sizeof why);
    assert(bad == 0);
    check_rings(pl->st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct redact_options secrets = {.enabled = true};
    static struct pipeline pl;
    struct pipeline_options o;
    struct store st;
    uint64_t items = 0;
    if (size == 0)
        return 0;
    uint8_t *mem = aligned_alloc(4096, SIZE);
    struct redact *redact = redact_new(&secrets);
    assert(mem && redact);
    memset(mem, 0, SIZE);
    pipeline_defaults(&o);
    o.forward_points = true;
    o.scope_labels = true;
    o.domains = 2;
    for (int round = 0; round < ROUNDS; round++) {
        int r = store_attach(&st, mem, SIZE, &me, reserve, NULL, now);
        assert(r == (round ? STORE_CONTINUED : STORE_CREATED));
        r = pipeline_init(&pl, &st, &o, now);
        assert(r == 0);
        pl.redact = redact;
        items += apply(&pl, (enum otlp_signal)(data[0] % OTLP_SIGNALS), data + 1, size - 1);
        check_all(&pl, items);
        pipeline_fini(&pl);
        store_detach(&st, false);
    }
    redact_free(redact);
    free(mem);
    return 0;
}
