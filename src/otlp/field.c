#include "otlp/field.h"

enum { VARINT_MAX = 10 }; /* bytes: 64 bits, seven to a byte */

uint64_t fields_long_varint(struct fields *r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        if (r->p == r->end) {
            fields_fail(r, ERR_SHORT);
            return 0;
        }
        const uint8_t c = *r->p++;
        if (i == VARINT_MAX - 1 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << 7 * i;
        if (c < 0x80)
            return v;
    }
    fields_fail(r, ERR_SYNTAX);
    return 0;
}
