#include "client/traceparent.h"

#include <stddef.h>
#include <string.h>

/* Only lower case is allowed. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *write_hex(char *to, const uint8_t *from, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    return to;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n == 0;
}

/* vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff */
bool traceparent_parse(const char *text, struct trace_ref *out, unsigned *flags)
{
    uint8_t version, f;
    const size_t n = text ? strnlen(text, TRACEPARENT_SIZE + 1) : 0;
    if (n < TRACEPARENT_SIZE || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    if (!read_hex(text, &version, 1) || version == 0xff)
        return false;
    if (n > TRACEPARENT_SIZE && (version == 0 || text[TRACEPARENT_SIZE] != '-'))
        return false;
    if (!read_hex(text + 3, out->trace_id, sizeof out->trace_id) ||
        !read_hex(text + 36, out->span_id, sizeof out->span_id) || !read_hex(text + 53, &f, 1))
        return false;
    *flags = f;
    return !all_zero(out->trace_id, sizeof out->trace_id) &&
           !all_zero(out->span_id, sizeof out->span_id);
}

void traceparent_format(char to[TRACEPARENT_SIZE + 1], const struct trace_ref *trace,
                        unsigned flags)
{
    const uint8_t version = 0, f = (uint8_t)flags;
    to = write_hex(to, &version, 1);
    *to++ = '-';
    to = write_hex(to, trace->trace_id, sizeof trace->trace_id);
    *to++ = '-';
    to = write_hex(to, trace->span_id, sizeof trace->span_id);
    *to++ = '-';
    to = write_hex(to, &f, 1);
    *to = '\0';
}
