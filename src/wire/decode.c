/* The frames that are not items. Items are in decode_item.c. */
#include "wire/decode.h"

#include "model/text.h"
#include "wire/cursor.h"
#include "wire/shm_ring.h"

int decode_hello(const uint8_t *p, size_t n, struct hello *out)
{
    static const uint8_t none[sizeof out->session];
    struct cursor c = cursor_at(p, n);
    out->version = cursor_u32(&c);
    out->capabilities = cursor_u32(&c);
    cursor_copy(&c, out->session, sizeof out->session);
    out->store_id = cursor_u64(&c);
    out->first = cursor_u64(&c);
    out->next = cursor_u64(&c);
    if (memcmp(out->session, none, sizeof none) == 0 || out->first < 1 || out->first > out->next)
        cursor_fail(&c, ERR_SYNTAX);
    out->service = cursor_line(&c, LIMIT_SERVICE);
    if (out->service.n == 0)
        cursor_fail(&c, ERR_NAME);
    out->instance = cursor_line(&c, LIMIT_SERVICE);
    out->domain = cursor_line(&c, LIMIT_SERVICE);
    out->agent = cursor_line(&c, LIMIT_SERVICE);
    return cursor_end(&c);
}

int decode_welcome(const uint8_t *p, size_t n, struct welcome *out)
{
    struct cursor c = cursor_at(p, n);
    out->version = cursor_u32(&c);
    out->known = cursor_u32(&c);
    if (out->known > SESSION_EXPIRED)
        cursor_fail(&c, ERR_SYNTAX);
    out->store_id = cursor_u64(&c);
    out->applied = cursor_u64(&c);
    out->max_frame = cursor_u32(&c);
    out->max_ids = cursor_u32(&c);
    out->max_rings = c.n == 4 ? cursor_u32(&c) : 0; /* is there only when HELLO asked */
    return cursor_end(&c);
}

int decode_metric(const uint8_t *p, size_t n, uint32_t *id, struct metric_def *out)
{
    struct cursor c = cursor_at(p, n);
    *id = cursor_u32(&c);
    out->kind = cursor_enum(&c, METRIC_SUMMARY);
    out->type = cursor_enum(&c, VALUE_F64);
    out->join = cursor_enum(&c, JOIN_MAX);
    out->flags = cursor_u8(&c);
    out->nbounds = cursor_count(&c, LIMIT_BOUNDS);
    cursor_zero(&c, 2);
    for (unsigned i = 0; i < out->nbounds; i++)
        out->bounds[i] = cursor_f64(&c);
    out->name = cursor_str(&c);
    out->unit = cursor_str(&c);
    out->help = cursor_str(&c);
    const int e = cursor_end(&c);
    return e < 0 ? e : metric_def_check(out);
}

/* [A-Za-z_][A-Za-z0-9_.]*, at most LIMIT_KEY bytes; "__" belongs to Prometheus. */
static bool label_key_ok(struct str key)
{
    if (!text_key_ok(key) || (key.n >= 2 && key.p[0] == '_' && key.p[1] == '_'))
        return false;
    for (size_t i = 0; i < key.n; i++) {
        const char c = key.p[i];
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || (c != '.' && (c < '0' || c > '9'))))
            return false;
    }
    return true;
}

static struct label take_label(struct cursor *c)
{
    struct label l = {.key = cursor_str(c)};
    if (!label_key_ok(l.key))
        cursor_fail(c, ERR_NAME);
    l.value = cursor_str(c);
    if (!text_utf8(l.value))
        cursor_fail(c, ERR_UTF8);
    l.value = text_cut(l.value, LIMIT_LABEL_VALUE);
    return l;
}

static bool has_key(const struct label *labels, unsigned n, struct str key)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(labels[i].key, key))
            return true;
    return false;
}

int decode_series(const uint8_t *p, size_t n, struct series_def *out)
{
    struct cursor c = cursor_at(p, n);
    out->id = cursor_u32(&c);
    out->metric_id = cursor_u32(&c);
    out->nlabels = cursor_count(&c, LIMIT_LABELS);
    for (unsigned i = 0; i < out->nlabels && c.err == 0; i++) {
        out->labels[i] = take_label(&c);
        if (has_key(out->labels, i, out->labels[i].key))
            cursor_fail(&c, ERR_SYNTAX);
    }
    return cursor_end(&c);
}

int decode_ack(const uint8_t *p, size_t n, uint64_t *applied)
{
    struct cursor c = cursor_at(p, n);
    *applied = cursor_u64(&c);
    return cursor_end(&c);
}

int decode_reject(const uint8_t *p, size_t n, struct reject *out)
{
    struct cursor c = cursor_at(p, n);
    out->first = cursor_u64(&c);
    out->count = cursor_u32(&c);
    out->id = cursor_u32(&c);
    out->reason = cursor_u16(&c);
    out->type = cursor_u8(&c);
    cursor_zero(&c, 1);
    out->detail = cursor_text(&c, LIMIT_TEXT);
    return cursor_end(&c);
}

int decode_lost(const uint8_t *p, size_t n, struct lost *out)
{
    struct cursor c = cursor_at(p, n);
    *out = (struct lost){0};
    const unsigned count = cursor_count(&c, LOST_MAX);
    for (unsigned i = 0; i < count; i++) {
        const unsigned reason = cursor_u16(&c);
        const uint64_t total = cursor_u64(&c);
        if (reason >= LOST_MAX)
            cursor_fail(&c, ERR_RANGE);
        if (c.err == 0)
            out->total[reason] = total;
    }
    return cursor_end(&c);
}

static bool ring_size_ok(uint32_t words)
{
    return words == 0 ||
           (words >= SHM_RING_MIN && words <= SHM_RING_MAX && (words & (words - 1)) == 0);
}

int decode_ring(const uint8_t *p, size_t n, struct ring_offer *out)
{
    struct cursor c = cursor_at(p, n);
    out->stream = cursor_u32(&c);
    out->words = cursor_u32(&c);
    out->position = cursor_u64(&c);
    if (out->stream < 1 || out->stream > UINT16_MAX || !ring_size_ok(out->words))
        cursor_fail(&c, ERR_RANGE);
    return cursor_end(&c);
}

int decode_ring_ready(const uint8_t *p, size_t n, struct ring_ready *out)
{
    struct cursor c = cursor_at(p, n);
    out->stream = cursor_u32(&c);
    out->reason = cursor_u32(&c);
    out->position = cursor_u64(&c);
    out->items = cursor_u64(&c);
    out->slot = cursor_u32(&c);
    if (out->slot % SHM_SLOT_SIZE != 0)
        cursor_fail(&c, ERR_SYNTAX);
    return cursor_end(&c);
}

int decode_bell(const uint8_t *p, size_t n, uint64_t *token)
{
    struct cursor c = cursor_at(p, n);
    *token = cursor_u64(&c);
    return cursor_end(&c);
}

int decode_bye(const uint8_t *p, size_t n)
{
    const struct cursor c = cursor_at(p, n);
    return cursor_end(&c);
}

/* More items than this do not fit into a frame: an update is the shortest. */
enum { BATCH_COUNT_MAX = (LIMIT_FRAME - PROTO_BATCH) / PROTO_UPDATE };

int decode_batch_head(const uint8_t *p, struct batch *out)
{
    out->first = get_u64(p);
    out->count = get_u32(p + 8);
    /* A range that no honest producer has cannot be consumed, so it counts as unreadable. */
    if (out->first < 1 || out->count < 1 || out->count > BATCH_COUNT_MAX ||
        out->first > UINT64_MAX - out->count)
        return -ERR_SHORT;
    return get_u32(p + 12) != 0 ? -ERR_SYNTAX : 0;
}

int decode_batch(unsigned type, const uint8_t *p, size_t n, struct batch *out)
{
    if (n < PROTO_BATCH)
        return -ERR_SHORT;
    const int r = decode_batch_head(p, out);
    out->items = p + PROTO_BATCH;
    out->size = n - PROTO_BATCH;
    if (r == 0 && type == FRAME_UPDATE && out->size != (size_t)out->count * PROTO_UPDATE)
        return -ERR_SYNTAX;
    return r;
}

enum drop_reason drop_of_error(int err)
{
    switch (err < 0 ? -err : err) {
    case ERR_UTF8:
        return DROP_UTF8;
    case ERR_NAME:
        return DROP_NAME;
    case ERR_RANGE:
        return DROP_LIMIT;
    case ERR_NOTFINITE:
        return DROP_NOT_FINITE;
    case ERR_CONFLICT:
        return DROP_CONFLICT;
    default:
        return DROP_MALFORMED;
    }
}
