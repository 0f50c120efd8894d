/* A byte stream to the frame reader and the decoders behind it. The first byte says in which
 * pieces it arrives; however it does, the frames must be the same. What a decoder takes must
 * encode to the same bytes again, but for what it is allowed to normalize. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "model/text.h"
#include "wire/encode.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    uint64_t frames; /* hash of all that came out */
    struct buf again;
};

static void check_again(struct fuzz *f, const struct frame *in)
{
    assert(!f->again.failed && f->again.n == PROTO_HEADER + in->size);
    assert(memcmp(f->again.p + PROTO_HEADER, in->payload, in->size) == 0);
}

static bool line_ok(struct str s)
{
    return s.n <= LIMIT_SERVICE && (s.n == 0 || text_name_ok(s));
}

static void on_hello(struct fuzz *f, const struct frame *in)
{
    struct hello h;
    if (decode_hello(in->payload, in->size, &h) < 0)
        return;
    assert(h.first >= 1 && h.first <= h.next && h.service.n > 0);
    assert(line_ok(h.service) && line_ok(h.instance) && line_ok(h.domain) && line_ok(h.agent));
    encode_hello(&f->again, &h);
    check_again(f, in);
}

static void on_metric(struct fuzz *f, const struct frame *in)
{
    struct metric_def def;
    uint32_t id;
    if (decode_metric(in->payload, in->size, &id, &def) < 0)
        return;
    assert(metric_def_check(&def) == 0);
    encode_metric(&f->again, id, &def);
    check_again(f, in);
}

static void on_series(struct fuzz *f, const struct frame *in)
{
    struct series_def def, again;
    if (decode_series(in->payload, in->size, &def) < 0)
        return;
    assert(def.nlabels <= LIMIT_LABELS);
    for (unsigned i = 0; i < def.nlabels; i++) {
        assert(text_key_ok(def.labels[i].key));
        assert(def.labels[i].value.n <= LIMIT_LABEL_VALUE && text_utf8(def.labels[i].value));
    }
    /* Long values were cut, so it is the values that must be the same. */
    encode_series(&f->again, &def);
    assert(!f->again.failed);
    assert(decode_series((const uint8_t *)f->again.p + PROTO_HEADER, f->again.n - PROTO_HEADER,
                         &again) == 0);
    assert(again.nlabels == def.nlabels);
    for (unsigned i = 0; i < def.nlabels; i++)
        assert(str_eq(def.labels[i].key, again.labels[i].key) &&
               str_eq(def.labels[i].value, again.labels[i].value));
}

static void on_batch(const struct frame *in)
{
    struct batch b;
    static struct event e;
    if (decode_batch(in->type, in->payload, in->size, &b) < 0)
        return;
    assert(b.first >= 1 && b.count >= 1 && b.first <= UINT64_MAX - b.count);
    if (in->type == FRAME_UPDATE) {
        const uint8_t *last = b.items + (size_t)(b.count - 1) * PROTO_UPDATE;
        assert(last + PROTO_UPDATE == in->payload + in->size);
        assert(update_id(&b, b.count - 1) == get_u32(last));
        return;
    }
    const uint8_t *p = b.items;
    size_t n = b.size;
    for (uint32_t i = 0; i < b.count; i++) {
        const size_t before = n;
        if (decode_item((enum event_kind)in->type, &p, &n, &e) == -ERR_SHORT)
            return;
        assert(n < before && p + n == b.items + b.size);
    }
}

/* That there are no rings may be said or left out. */
static void on_welcome(struct fuzz *f, const struct frame *in)
{
    struct welcome w;
    struct frame said = *in;
    if (decode_welcome(in->payload, in->size, &w) < 0)
        return;
    encode_welcome(&f->again, &w);
    if (w.max_rings == 0 && f->again.n == PROTO_HEADER + in->size - sizeof w.max_rings)
        said.size -= (uint32_t)sizeof w.max_rings;
    check_again(f, &said);
}

static void on_rest(struct fuzz *f, const struct frame *in)
{
    struct reject r;
    struct lost l;
    uint64_t applied;
    switch (in->type) {
    case FRAME_WELCOME:
        on_welcome(f, in);
        break;
    case FRAME_ACK:
        if (decode_ack(in->payload, in->size, &applied) < 0)
            return;
        encode_ack(&f->again, applied);
        check_again(f, in);
        break;
    case FRAME_REJECT:
        if (decode_reject(in->payload, in->size, &r) < 0)
            return;
        encode_reject(&f->again, &r);
        check_again(f, in);
        break;
    case FRAME_LOST:
        (void)decode_lost(in->payload, in->size, &l); /* may leave reasons out */
        break;
    case FRAME_BYE:
        assert((decode_bye(in->payload, in->size) == 0) == (in->size == 0));
        break;
    default:
        break;
    }
}

static void on_frame(struct fuzz *f, const struct frame *in)
{
    assert(in->flags == 0 && in->stream == 0 && in->size <= LIMIT_FRAME);
    f->frames = hash_bytes(&in->type, 1, f->frames);
    f->frames = hash_bytes(in->payload, in->size, f->frames);
    buf_reset(&f->again);
    switch (in->type) {
    case FRAME_HELLO:
        on_hello(f, in);
        break;
    case FRAME_DEFINE_METRIC:
        on_metric(f, in);
        break;
    case FRAME_DEFINE_SERIES:
        on_series(f, in);
        break;
    case FRAME_UPDATE:
    case FRAME_SPAN:
    case FRAME_EVENT:
    case FRAME_LOG:
    case FRAME_HEALTH:
        on_batch(in);
        break;
    default:
        on_rest(f, in);
    }
}

/* The next piece's size: 1 to 64 bytes, or all that is left. */
static size_t piece_of(uint8_t how, uint32_t *state, size_t left)
{
    if (how == 0)
        return left;
    *state = *state * 1664525 + how;
    const size_t n = how == 1 ? 1 : (*state >> 16) % 64 + 1;
    return n < left ? n : left;
}

/* Feeds all of it; returns what ended it. */
static int feed(struct fuzz *f, uint8_t how, const uint8_t *data, size_t size)
{
    struct frame_reader r;
    struct frame in;
    uint32_t state = how;
    int got = 0;
    frame_reader_init(&r);
    while (size > 0 && got == 0) {
        size_t n = piece_of(how, &state, size);
        uint8_t *piece = malloc(n); /* of its own, so that a sanitizer sees its end */
        assert(piece);
        memcpy(piece, data, n);
        data += n;
        size -= n;
        const uint8_t *p = piece;
        while ((got = frame_reader_next(&r, &p, &n, &in)) == 1)
            on_frame(f, &in);
        assert(got < 0 || n == 0);
        assert(r.cap <= PROTO_HEADER + LIMIT_FRAME);
        free(piece);
    }
    frame_reader_fini(&r);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct fuzz whole = {0}, pieces = {0};
    buf_init(&whole.again, 2 * LIMIT_FRAME);
    buf_init(&pieces.again, 2 * LIMIT_FRAME);
    const int a = feed(&whole, 0, data + 1, size - 1);
    const int b = feed(&pieces, data[0], data + 1, size - 1);
    assert(a == b && whole.frames == pieces.frames);
    buf_fini(&whole.again);
    buf_fini(&pieces.again);
    return 0;
}
