/* What gRPC and HTTP peers send beside requests, behind a byte that says which: framed
 * messages, timeouts, percent-encoding, base64, replies, statuses, gzip. */
#include <assert.h>
#include <string.h>

#include "otlp/grpc.h"
#include "otlp/gzip.h"
#include "otlp/rpc.pb-c.h"
#include "otlp/trace.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 16 };

/* In one piece and in pieces it is the same. */
static void feed(const uint8_t *p, size_t n, struct buf *b)
{
    struct grpc_message one, many;
    int e = 0;
    grpc_message_init(&one, MOST);
    grpc_message_init(&many, MOST);
    const int whole = grpc_message_feed(&one, p, n);
    for (size_t i = 0; i < n && e == 0; i++)
        e = grpc_message_feed(&many, p + i, 1);
    assert(whole == -ERR_SYNTAX || n == 0 || e == whole); /* bytes behind it come later */
    assert(one.bytes.n <= MOST && one.bytes.cap <= GRPC_RESERVE * (n + 1) + 256);
    buf_addstr(b, buf_str(&many.bytes));
    grpc_message_fini(&one);
    grpc_message_fini(&many);
}

static void texts(struct str s, struct buf *b, struct buf *c)
{
    uint64_t ns, again;
    if (grpc_timeout_read(s, &ns)) {
        grpc_timeout(b, ns);
        assert(grpc_timeout_read(buf_str(b), &again) && again <= ns);
    }
    buf_reset(b);
    grpc_percent(b, s);
    grpc_unpercent(c, buf_str(b));
    assert(str_eq(buf_str(c), s));
    buf_reset(c);
    grpc_unpercent(c, s);
    assert(c->n <= s.n);
    buf_reset(b);
    buf_reset(c);
    grpc_base64(b, s);
    assert(grpc_base64_read(c, buf_str(b)) == 0 && str_eq(buf_str(c), s));
    buf_reset(c);
    if (grpc_base64_read(c, s) == 0)
        assert(c->n <= s.n / 4 * 3 + 2);
}

static void replies(struct str s)
{
    struct otlp_status status;
    uint64_t rejected;
    struct str message;
    if (otlp_reply_read(s, &rejected, &message) == 0)
        assert(message.n == 0 || (message.p >= s.p && message.p + message.n <= s.p + s.n));
    if (otlp_status_read(s, &status) == 0) {
        Rpc__Status *m = rpc__status__unpack(NULL, s.n, (const uint8_t *)s.p);
        assert(m && rpc_code_name(status.code));
        rpc__status__free_unpacked(m, NULL);
    }
}

/* In small steps and in large ones it is the same; the bound holds. */
static void unpack(struct str s, struct buf *b, size_t step, int *result)
{
    struct inflate i;
    unsigned steps = 0;
    assert(inflate_begin(&i, s) == 0);
    do {
        *result = inflate_step(&i, b, step);
        steps++;
    } while (*result == 1);
    assert(b->n <= b->max && b->cap <= b->max && steps <= b->max + s.n + 2);
    inflate_end(&i);
}

static void gzip(struct str s, struct buf *b, struct buf *c)
{
    int e, again;
    unpack(s, b, 100, &e);
    unpack(s, c, MOST, &again);
    assert(e == again && (e != 0 || str_eq(buf_str(b), buf_str(c))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b, c;
    if (size < 1)
        return 0;
    const struct str s = {(const char *)data + 1, size - 1};
    const bool packed = data[0] % 4 == 3;
    buf_init(&b, packed ? MOST : 4 << 20);
    buf_init(&c, packed ? MOST : 4 << 20);
    if (data[0] % 4 == 0)
        feed(data + 1, size - 1, &b);
    else if (data[0] % 4 == 1)
        texts(s, &b, &c);
    else if (data[0] % 4 == 2)
        replies(s);
    else
        gzip(s, &b, &c);
    buf_fini(&b);
    buf_fini(&c);
    return 0;
}
