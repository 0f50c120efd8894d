/* field: reads protobuf messages field by field, in place. Floor 1.
 *
 * This, and not protobuf-c, stands under the trust line: protobuf-c unpacks a message
 * into a tree of small allocations before anybody may look at it, has no limit of
 * depth, and costs several times as much as all that is wanted of a span. Here
 * nothing is copied or allocated, every length is checked against what is left, and
 * what is not known stays where it is, so that it can be passed on.
 *
 * Refused: groups, field number 0, a tag of more than 5 bytes, a varint of more than 64
 * bits, a length that leads outside. The first error sticks: after it there are no more
 * fields. */
#ifndef MCPTALLY_OTLP_FIELD_H
#define MCPTALLY_OTLP_FIELD_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"

enum { FIELD_TAG_BYTES = 5 }; /* other readers take no longer one, whatever it says */
enum field_type { FIELD_VARINT = 0, FIELD_FIXED64 = 1, FIELD_BYTES = 2, FIELD_FIXED32 = 5 };

/* The tag of a field, for a switch over field.tag. */
#define FIELD(number, type) ((uint32_t)(number) << 3 | FIELD_##type)

struct field {
    uint32_t tag;
    uint64_t v;   /* of a number, whatever its type */
    struct str s; /* of FIELD_BYTES */
};

struct fields {
    const uint8_t *p, *end;
    int err; /* 0, or the negative of an enum err */
};

static inline struct fields fields_of(struct str message)
{
    const uint8_t *p = (const uint8_t *)message.p;
    return (struct fields){.p = p, .end = message.n ? p + message.n : p};
}

/* Keeps the first error and ends the reading. */
static inline void fields_fail(struct fields *r, enum err e)
{
    if (r->err == 0)
        r->err = -(int)e;
    r->p = r->end;
}

static inline size_t fields_left(const struct fields *r)
{
    return (size_t)(r->end - r->p);
}

/* A varint that is longer than two bytes, or is cut off. */
uint64_t fields_long_varint(struct fields *r);

static inline uint64_t fields_varint(struct fields *r)
{
    const uint8_t *p = r->p;
    if (r->end - p >= 1 && p[0] < 0x80) {
        r->p = p + 1;
        return p[0];
    }
    if (r->end - p >= 2 && p[1] < 0x80) {
        r->p = p + 2;
        return (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
    }
    return fields_long_varint(r);
}

static inline const uint8_t *fields_take(struct fields *r, uint64_t n)
{
    if (n > fields_left(r)) {
        fields_fail(r, ERR_SHORT);
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

/* The next field; false at the end and after an error. */
static inline bool fields_next(struct fields *r, struct field *f)
{
    if (r->p == r->end)
        return false;
    const uint8_t *p = r->p;
    const uint64_t tag = fields_varint(r);
    if (tag < 8 || tag > UINT32_MAX || r->p - p > FIELD_TAG_BYTES) {
        fields_fail(r, ERR_SYNTAX);
        return false;
    }
    *f = (struct field){.tag = (uint32_t)tag};
    switch (tag & 7) {
    case FIELD_VARINT:
        f->v = fields_varint(r);
        break;
    case FIELD_FIXED64:
        p = fields_take(r, 8);
        f->v = p ? get_u64(p) : 0;
        break;
    case FIELD_BYTES:
        f->s.n = fields_varint(r);
        f->s.p = (const char *)fields_take(r, f->s.n);
        break;
    case FIELD_FIXED32:
        p = fields_take(r, 4);
        f->v = p ? get_u32(p) : 0;
        break;
    default:
        fields_fail(r, ERR_SYNTAX);
    }
    return r->err == 0;
}

/* Passes over fields of bytes that are shorter than 128 and of numbers from 1 to 15, but for one:
 * most of what there is in most messages. Where that leads, at the latest to the end. */
static inline const uint8_t *fields_pass_short(struct fields *r, unsigned but)
{
    const uint8_t *p = r->p;
    while (r->end - p >= 2 && (p[0] & 0x87) == FIELD_BYTES && p[0] >= 8 && p[0] >> 3 != but &&
           p[1] < 0x80 && p[1] <= r->end - p - 2)
        p += 2 + p[1];
    r->p = p;
    return p;
}

/* For a switch's default: a field whose number is in the mask of known ones (below 32)
 * has come with another type than its own, which is refused; others are left alone. */
static inline void fields_unknown(struct fields *r, const struct field *f, uint32_t known)
{
    const uint32_t number = f->tag >> 3;
    if (number < 32 && (known >> number & 1))
        fields_fail(r, ERR_SYNTAX);
}

/* A mask of the numbers 1 to n. */
#define FIELDS_TO(n) ((uint32_t)((UINT64_C(2) << (n)) - 2))

static inline int64_t field_zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
