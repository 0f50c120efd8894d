#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "model/limits.h"
#include "wire/decode.h"

void frame_reader_init(struct frame_reader *r)
{
    *r = (struct frame_reader){0};
}

void frame_reader_fini(struct frame_reader *r)
{
    free(r->held);
    *r = (struct frame_reader){0};
}

/* Reads the 8 bytes of a header. */
static int header(const uint8_t *p, struct frame *out)
{
    out->size = get_u32(p);
    out->type = p[4];
    out->flags = p[5];
    out->stream = get_u16(p + 6);
    if (out->flags != 0 || out->stream != 0)
        return -REJECT_HEADER;
    return out->size > LIMIT_FRAME ? -REJECT_TOO_LARGE : 0;
}

/* Bytes of the whole frame in hand, as far as is known. */
static size_t whole(const struct frame_reader *r)
{
    return r->have < PROTO_HEADER ? (size_t)PROTO_HEADER : PROTO_HEADER + get_u32(r->held);
}

/* Memory follows what has come, not what a header announces: a peer that sends
 * many headers and nothing else holds a few bytes each. */
static int reserve(struct frame_reader *r, size_t need, size_t limit)
{
    if (need <= r->cap)
        return 0;
    size_t cap = 2 * (size_t)r->cap;
    if (cap > limit)
        cap = limit;
    if (cap < need)
        cap = need;
    uint8_t *held = realloc(r->held, cap);
    if (!held)
        return -ERR_NOMEM;
    r->held = held;
    r->cap = (uint32_t)cap;
    return 0;
}

/* Moves input to the frame in hand until it has `target` bytes. 1 when it has. */
static int collect(struct frame_reader *r, size_t target, const uint8_t **p, size_t *n)
{
    const size_t missing = target - r->have;
    const size_t take = *n < missing ? *n : missing;
    if (take > 0) {
        const int e = reserve(r, r->have + take, target);
        if (e < 0)
            return e;
        memcpy(r->held + r->have, *p, take);
        r->have += (uint32_t)take;
        *p += take;
        *n -= take;
    }
    return take == missing;
}

/* Goes on with a frame whose beginning is held. */
static int next_held(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out)
{
    int e = r->have < PROTO_HEADER ? collect(r, PROTO_HEADER, p, n) : 1;
    if (e <= 0)
        return e;
    e = header(r->held, out);
    if (e < 0)
        return e;
    e = collect(r, PROTO_HEADER + out->size, p, n);
    if (e <= 0)
        return e;
    out->payload = r->held + PROTO_HEADER;
    return 1;
}

int frame_reader_next(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame *out)
{
    if (r->held && r->have == whole(r)) /* handed out by the call before */
        frame_reader_fini(r);
    if (r->held)
        return next_held(r, p, n, out);
    if (*n == 0)
        return 0;
    if (*n >= PROTO_HEADER) {
        const int e = header(*p, out);
        if (e < 0)
            return e;
        if (*n - PROTO_HEADER >= out->size) {
            out->payload = *p + PROTO_HEADER;
            *p += PROTO_HEADER + out->size;
            *n -= PROTO_HEADER + out->size;
            return 1;
        }
    }
    return next_held(r, p, n, out);
}

/* ---- parts of UPDATE frames ---- */

enum { HEAD = PROTO_HEADER + PROTO_BATCH };

/* What the head of an UPDATE frame says, when it can be true. */
static bool update_head(const uint8_t *p, struct frame_part *out)
{
    struct frame f;
    struct batch b;
    if (header(p, &f) < 0 || f.type != FRAME_UPDATE || f.size < PROTO_BATCH + PROTO_UPDATE)
        return false;
    if (decode_batch_head(p + PROTO_HEADER, &b) < 0 ||
        f.size - PROTO_BATCH != (uint64_t)b.count * PROTO_UPDATE)
        return false;
    *out = (struct frame_part){.first = b.first, .count = b.count};
    return true;
}

/* The frame without the records before it. */
static void put_rest(uint8_t *p, uint64_t first, uint32_t count)
{
    put_u32(p, PROTO_BATCH + count * PROTO_UPDATE);
    p[4] = FRAME_UPDATE;
    p[5] = 0;
    put_u16(p + 6, 0);
    put_u64(p + PROTO_HEADER, first);
    put_u32(p + PROTO_HEADER + 8, count);
    put_u32(p + PROTO_HEADER + 12, 0);
}

/* The frame begins in the input, and does not end there. */
static int first_part(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame_part *out)
{
    if (*n < HEAD + PROTO_UPDATE || !update_head(*p, out))
        return 0;
    const uint32_t count = out->count;
    const size_t here = (*n - HEAD) / PROTO_UPDATE;
    if (here >= count)
        return 0; /* it is whole */
    const int e = reserve(r, HEAD + PROTO_UPDATE, HEAD + PROTO_UPDATE);
    if (e < 0)
        return e;
    out->items = *p + HEAD;
    out->count = (uint32_t)here;
    put_rest(r->held, out->first + here, count - (uint32_t)here);
    r->have = HEAD;
    *p += HEAD + here * PROTO_UPDATE;
    *n -= HEAD + here * PROTO_UPDATE;
    return 1;
}

/* Its head is held, and perhaps the beginning of a record. */
static int next_part(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame_part *out)
{
    if (!update_head(r->held, out))
        return 0;
    const uint32_t count = out->count, held = r->have - HEAD;
    if (held >= PROTO_UPDATE)
        return 0; /* it was begun as a whole */
    if (held > 0) {
        const int e = collect(r, HEAD + PROTO_UPDATE, p, n);
        if (e <= 0)
            return e;
        out->items = r->held + HEAD;
        out->count = 1;
    } else {
        const size_t here = *n / PROTO_UPDATE;
        if (here == 0)
            return 0;
        out->items = *p;
        out->count = here < count ? (uint32_t)here : count;
        *p += (size_t)out->count * PROTO_UPDATE;
        *n -= (size_t)out->count * PROTO_UPDATE;
    }
    put_rest(r->held, out->first + out->count, count - out->count);
    r->have = HEAD;
    return 1;
}

int frame_reader_part(struct frame_reader *r, const uint8_t **p, size_t *n, struct frame_part *out)
{
    if (r->held && r->have == whole(r))
        frame_reader_fini(r);
    if (!r->held)
        return first_part(r, p, n, out);
    if (r->have < PROTO_HEADER) {
        const int e = collect(r, PROTO_HEADER, p, n);
        if (e <= 0)
            return e;
    }
    if (r->have < HEAD && r->held[4] == FRAME_UPDATE && get_u32(r->held) > PROTO_BATCH) {
        const int e = collect(r, HEAD, p, n);
        if (e <= 0)
            return e;
    }
    return r->have >= HEAD ? next_part(r, p, n, out) : 0;
}

bool frame_reader_holds(const struct frame_reader *r, const uint8_t *p)
{
    const uintptr_t at = (uintptr_t)p, begin = (uintptr_t)r->held;
    return begin && at >= begin && at < begin + r->cap;
}

size_t frame_reader_missing(const struct frame_reader *r)
{
    return r->held ? whole(r) - r->have : 0;
}
