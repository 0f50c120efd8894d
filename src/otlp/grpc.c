#include "otlp/grpc.h"

#include "base/err.h"

void grpc_message_init(struct grpc_message *m, size_t max)
{
    *m = (struct grpc_message){0};
    buf_init(&m->bytes, max);
}

void grpc_message_fini(struct grpc_message *m)
{
    buf_fini(&m->bytes);
}

/* The prefix is whole: what it says of the message. */
static int take_prefix(struct grpc_message *m)
{
    const uint8_t *p = m->prefix;
    if (p[0] > 1)
        return -ERR_SYNTAX;
    m->compressed = p[0];
    m->size = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    return m->size > m->bytes.max ? -ERR_RANGE : 0;
}

/* Room for what has arrived and several times as much, so that little of it is moved again. */
static void reserve(struct grpc_message *m, size_t arrived)
{
    const uint64_t most = (uint64_t)GRPC_RESERVE * arrived;
    if (arrived > m->bytes.cap)
        buf_reserve(&m->bytes, most < m->size ? (size_t)most : m->size);
}

int grpc_message_feed(struct grpc_message *m, const uint8_t *p, size_t n)
{
    while (m->have < GRPC_PREFIX) {
        if (n == 0)
            return 0;
        m->prefix[m->have++] = *p++;
        n--;
        const int e = m->have == GRPC_PREFIX ? take_prefix(m) : 0;
        if (e != 0) {
            m->have = GRPC_PREFIX - 1; /* what comes after cannot make it good */
            m->prefix[0] = UINT8_MAX;
            return e;
        }
    }
    if (n > m->size - m->bytes.n)
        return -ERR_SYNTAX;
    reserve(m, m->bytes.n + n);
    buf_add(&m->bytes, p, n);
    if (m->bytes.failed)
        return -ERR_NOMEM;
    return m->bytes.n == m->size;
}

void grpc_prefix(uint8_t out[GRPC_PREFIX], bool compressed, uint32_t size)
{
    out[0] = compressed;
    out[1] = (uint8_t)(size >> 24);
    out[2] = (uint8_t)(size >> 16);
    out[3] = (uint8_t)(size >> 8);
    out[4] = (uint8_t)size;
}

/* ---- grpc-timeout: at most eight digits and a unit ---- */

enum { TIMEOUT_DIGITS = 8 };

static const struct timeout_unit {
    char letter;
    uint64_t ns;
} units[] = {
    {'n', 1},
    {'u', UINT64_C(1000)},
    {'m', UINT64_C(1000000)},
    {'S', UINT64_C(1000000000)},
    {'M', UINT64_C(60000000000)},
    {'H', UINT64_C(3600000000000)},
};
enum { UNITS = sizeof units / sizeof *units };

bool grpc_timeout_read(struct str text, uint64_t *ns)
{
    uint64_t v = 0;
    if (text.n < 2 || text.n > TIMEOUT_DIGITS + 1)
        return false;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    for (unsigned i = 0; i < UNITS; i++) {
        if (units[i].letter != text.p[text.n - 1])
            continue;
        *ns = v * units[i].ns; /* 99999999 hours are more than 64 bits of ns hold */
        if (v > UINT64_MAX / units[i].ns)
            *ns = UINT64_MAX;
        return true;
    }
    return false;
}

void grpc_timeout(struct buf *to, uint64_t ns)
{
    static const uint64_t most = 99999999;
    unsigned i = 0;
    while (i + 1 < UNITS && (ns / units[i].ns > most || ns % units[i + 1].ns == 0))
        i++;
    buf_addu(to, ns / units[i].ns);
    buf_addc(to, units[i].letter);
}

/* ---- grpc-message ---- */

static bool passes(unsigned char c)
{
    return c >= ' ' && c <= '~' && c != '%';
}

void grpc_percent(struct buf *to, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.p[i];
        const char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
        if (passes(c))
            buf_addc(to, (char)c);
        else
            buf_add(to, escape, sizeof escape);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_unpercent(struct buf *to, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        const int high = text.p[i] == '%' && i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text.p[i + 2]) : -1;
        if (low < 0) {
            buf_addc(to, text.p[i]);
            continue;
        }
        buf_addc(to, (char)(high << 4 | low));
        i += 2;
    }
}

/* ---- base64 ---- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void grpc_base64(struct buf *to, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i += 3) {
        const size_t left = bytes.n - i;
        const unsigned a = (unsigned char)bytes.p[i];
        const unsigned b = left > 1 ? (unsigned char)bytes.p[i + 1] : 0;
        const unsigned c = left > 2 ? (unsigned char)bytes.p[i + 2] : 0;
        const unsigned v = a << 16 | b << 8 | c;
        const char out[4] = {base64[v >> 18], base64[v >> 12 & 63],
                             left > 1 ? base64[v >> 6 & 63] : '=', left > 2 ? base64[v & 63] : '='};
        buf_add(to, out, sizeof out);
    }
}

/* Both alphabets: '+' '/' and '-' '_'. */
static int base64_value(char c)
{
    if (c == '-')
        return 62;
    if (c == '_')
        return 63;
    const char *at = c ? strchr(base64, c) : NULL;
    return at ? (int)(at - base64) : -1;
}

int grpc_base64_read(struct buf *to, struct str text)
{
    size_t n = text.n;
    while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=')
        n--;
    if (n % 4 == 1 || (n < text.n && text.n % 4 != 0))
        return -ERR_SYNTAX;
    unsigned v = 0, bits = 0;
    for (size_t i = 0; i < n; i++) {
        const int six = base64_value(text.p[i]);
        if (six < 0)
            return -ERR_SYNTAX;
        v = (v << 6 | (unsigned)six) & 0xFFFFFF;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        buf_addc(to, (char)(v >> bits & 0xFF));
    }
    return to->failed ? -ERR_NOMEM : 0;
}
