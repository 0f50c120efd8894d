#include "otlp/put.h"

#include <assert.h>

#include "base/bytes.h"
#include "otlp/field.h"

enum { VARINT_MAX = 10, OPEN_BYTES = 4 };

size_t put_varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

void put_varint(struct buf *to, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    buf_add(to, bytes, n);
}

void put_head(struct buf *to, unsigned number, size_t size)
{
    put_varint(to, FIELD(number, BYTES));
    put_varint(to, size);
}

void put_bytes(struct buf *to, unsigned number, struct str s)
{
    put_head(to, number, s.n);
    buf_addstr(to, s);
}

void put_text(struct buf *to, unsigned number, struct str s)
{
    if (s.n > 0)
        put_bytes(to, number, s);
}

void put_uint(struct buf *to, unsigned number, uint64_t v)
{
    if (v == 0)
        return;
    put_varint(to, FIELD(number, VARINT));
    put_varint(to, v);
}

void put_fixed64_always(struct buf *to, unsigned number, uint64_t v)
{
    uint8_t bytes[8];
    put_u64(bytes, v);
    put_varint(to, FIELD(number, FIXED64));
    buf_add(to, bytes, sizeof bytes);
}

void put_fixed64(struct buf *to, unsigned number, uint64_t v)
{
    if (v != 0)
        put_fixed64_always(to, number, v);
}

void put_fixed32(struct buf *to, unsigned number, uint32_t v)
{
    uint8_t bytes[4];
    if (v == 0)
        return;
    put_u32(bytes, v);
    put_varint(to, FIELD(number, FIXED32));
    buf_add(to, bytes, sizeof bytes);
}

void put_double(struct buf *to, unsigned number, double d)
{
    put_fixed64_always(to, number, f64_bits(d));
}

void put_id(struct buf *to, unsigned number, const uint8_t *id, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= id[i];
    if (any != 0)
        put_bytes(to, number, (struct str){(const char *)id, n});
}

size_t put_open(struct buf *to, unsigned number)
{
    static const uint8_t room[OPEN_BYTES];
    put_varint(to, FIELD(number, BYTES));
    const size_t at = to->n;
    buf_add(to, room, sizeof room);
    return at;
}

void put_close(struct buf *to, size_t at)
{
    if (to->failed)
        return;
    size_t size = to->n - at - OPEN_BYTES;
    assert(size < PUT_OPEN_MAX);
    for (unsigned i = 0; i < OPEN_BYTES; i++, size >>= 7)
        to->p[at + i] = (char)(uint8_t)((size & 0x7f) | (i + 1 < OPEN_BYTES ? 0x80 : 0));
}

void put_close_tight(struct buf *to, size_t at)
{
    if (to->failed)
        return;
    const size_t size = to->n - at - OPEN_BYTES;
    const size_t head = put_varint_size(size);
    assert(size < PUT_OPEN_MAX);
    memmove(to->p + at + head, to->p + at + OPEN_BYTES, size);
    to->n = at;
    put_varint(to, size);
    to->n += size;
}

/* The size of an AnyValue's one field. */
static size_t value_size(const struct attr *a)
{
    switch (a->type) {
    case ATTR_STRING:
        return 1 + put_varint_size(a->s.n) + a->s.n;
    case ATTR_BOOL:
        return 2;
    case ATTR_I64:
        return 1 + put_varint_size((uint64_t)a->i);
    default:
        assert(a->type == ATTR_F64);
        return 1 + 8;
    }
}

/* The oneof of an AnyValue: it says what it is even when that is 0 or empty. */
static void put_value(struct buf *to, const struct attr *a)
{
    switch (a->type) {
    case ATTR_STRING:
        put_bytes(to, 1, a->s);
        break;
    case ATTR_BOOL:
        put_varint(to, FIELD(2, VARINT));
        put_varint(to, a->i != 0);
        break;
    case ATTR_I64:
        put_varint(to, FIELD(3, VARINT));
        put_varint(to, (uint64_t)a->i);
        break;
    case ATTR_F64:
        put_double(to, 4, a->d);
        break;
    }
}

void put_attr(struct buf *to, unsigned number, const struct attr *a)
{
    const size_t value = value_size(a);
    const size_t key = 1 + put_varint_size(a->key.n) + a->key.n;
    put_head(to, number, key + 1 + put_varint_size(value) + value);
    put_bytes(to, 1, a->key);
    put_head(to, 2, value);
    put_value(to, a);
}

void put_attr_text(struct buf *to, unsigned number, struct str key, struct str value)
{
    put_attr(to, number, &(struct attr){.key = key, .type = ATTR_STRING, .s = value});
}
