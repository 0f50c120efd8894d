#include "forward/request.h"

#include "base/bytes.h"

void request_init(struct request *r, enum otlp_signal signal, size_t max)
{
    *r = (struct request){.signal = signal};
    buf_init(&r->bytes, max);
}

void request_fini(struct request *r)
{
    buf_fini(&r->bytes);
}

void request_reset(struct request *r, size_t max)
{
    buf_reset(&r->bytes);
    r->bytes.max = max;
    r->items = 0;
}

static bool is_of(const struct request *r, unsigned kind)
{
    static const unsigned kinds[OTLP_SIGNALS] = {
        [OTLP_TRACES] = RECORD_OTLP_SPAN,
        [OTLP_METRICS] = RECORD_OTLP_METRIC,
        [OTLP_LOGS] = RECORD_OTLP_LOG,
    };
    return kinds[r->signal] == kind;
}

static size_t put_length(uint8_t to[10], size_t n)
{
    size_t i = 0;
    for (; n >= 0x80; n >>= 7)
        to[i++] = (uint8_t)(n | 0x80);
    to[i++] = (uint8_t)n;
    return i;
}

int request_add(struct request *r, const struct ring_view *record,
                const struct sample_decision *decision)
{
    uint8_t head[11] = {1 << 3 | 2};
    (void)decision;
    if (!is_of(r, record->kind))
        return 0;
    const size_t n = 1 + put_length(head + 1, record->body.n);
    if (n + record->body.n > r->bytes.max)
        return -ERR_RANGE;
    if (!buf_room(&r->bytes, n + record->body.n)) {
        r->bytes.failed = false;
        return -ERR_FULL;
    }
    buf_add(&r->bytes, head, n);
    buf_addstr(&r->bytes, record->body);
    r->items++;
    return 1;
}

struct str request_bytes(struct request *r)
{
    return buf_str(&r->bytes);
}
