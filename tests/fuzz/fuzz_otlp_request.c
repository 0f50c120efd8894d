/* An OTLP request behind a byte that says its signal, applied to a store in small steps,
 * and applied again after the daemon has died: the ledger balances, the store is whole,
 * and what the rings keep can be read. */
#include <stdlib.h>
#include <string.h>

#include "otlp/record.h"
#include "pipeline/otlp.h"
#include "pipeline/redact.h"
#include "store/read.h"
#include "../unit/otlp_whole.h"
#include "lives.h"

enum { STEP = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

struct input {
    const uint8_t *data;
    size_t size;
    struct redact *redact;
    uint64_t items; /* in all lives */
};

static void apply_all(struct pipeline *pl, void *arg)
{
    struct input *in = arg;
    pl->redact = in->redact;
    in->items +=
        apply(pl, (enum otlp_signal)(in->data[0] % OTLP_SIGNALS), in->data + 1, in->size - 1);
    const uint64_t received = check_ledger(pl);
    assert(received == in->items);
    check_rings(pl->st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct redact_options secrets = {.enabled = true};
    struct input in = {.data = data, .size = size};
    struct pipeline_options o;
    if (size == 0)
        return 0;
    uint8_t *mem = aligned_alloc(4096, SIZE);
    in.redact = redact_new(&secrets);
    assert(mem && in.redact);
    memset(mem, 0, SIZE);
    pipeline_defaults(&o);
    o.forward_points = true;
    o.scope_labels = true;
    o.domains = 2;
    live(mem, &o, apply_all, &in);
    redact_free(in.redact);
    free(mem);
    return 0;
}
