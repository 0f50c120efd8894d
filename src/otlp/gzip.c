#include "otlp/gzip.h"

#include <assert.h>

#include "base/err.h"

enum {
    GZIP_ONLY = 16 + MAX_WBITS,
    EMPTY_COST = 1024, /* of a step, for a member that holds nothing: stops a text of those */
    LEVEL = 3,         /* the last of the fast ones: spans take half the time of 6, 4% more room */
};

int inflate_begin(struct inflate *i, struct str gzip)
{
    *i = (struct inflate){.in = gzip};
    return inflateInit2(&i->z, GZIP_ONLY) == Z_OK ? 0 : -ERR_NOMEM;
}

void inflate_end(struct inflate *i)
{
    inflateEnd(&i->z);
}

/* A member has ended: the text too, or the next member begins. */
static int next_member(struct inflate *i)
{
    if (i->in.n == 0)
        i->done = true;
    else if (inflateReset(&i->z) != Z_OK)
        return -ERR_SYNTAX;
    return 0;
}

/* Unpacks into [to, to + size): the bytes written, or an error. */
static int unpack(struct inflate *i, char *to, size_t size)
{
    i->z.next_in = (Bytef *)(uintptr_t)i->in.p;
    i->z.avail_in = i->in.n > UINT32_MAX ? UINT32_MAX : (uInt)i->in.n;
    i->z.next_out = (Bytef *)to;
    i->z.avail_out = (uInt)size;
    const uInt had = i->z.avail_in;
    const int z = inflate(&i->z, Z_NO_FLUSH);
    const size_t eaten = had - i->z.avail_in, made = size - i->z.avail_out;
    i->in.p += eaten;
    i->in.n -= eaten;
    if (z == Z_STREAM_END) {
        const int e = next_member(i);
        return e != 0 ? e : (int)made;
    }
    if (z == Z_MEM_ERROR)
        return -ERR_NOMEM;
    if (z != Z_OK && z != Z_BUF_ERROR)
        return -ERR_SYNTAX;
    return made == 0 && eaten == 0 && i->in.n == 0 ? -ERR_SHORT : (int)made;
}

/* The buffer is at its max: only an end may come. */
static int at_max(struct inflate *i)
{
    char beyond;
    while (!i->done) {
        const int n = unpack(i, &beyond, 1);
        if (n != 0)
            return n < 0 ? n : -ERR_RANGE;
    }
    return 0;
}

int inflate_step(struct inflate *i, struct buf *to, size_t step)
{
    assert(step > 0 && step <= INT32_MAX);
    while (!i->done && step > 0) {
        const size_t left = to->max - to->n;
        if (left == 0)
            return at_max(i);
        const size_t size = step < left ? step : left;
        char *room = buf_room(to, size);
        if (!room)
            return -ERR_NOMEM;
        const int n = unpack(i, room, size);
        if (n < 0)
            return n;
        buf_added(to, (size_t)n);
        const size_t cost = n > 0 ? (size_t)n : EMPTY_COST;
        step -= cost < step ? cost : step;
    }
    return !i->done;
}

int deflate_gzip(struct buf *to, struct str bytes)
{
    z_stream z = {0};
    assert(bytes.n <= UINT32_MAX);
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_ONLY, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ERR_NOMEM;
    const size_t most = deflateBound(&z, bytes.n);
    char *room = buf_room(to, most);
    if (!room) {
        deflateEnd(&z);
        return -ERR_NOMEM;
    }
    z.next_in = (Bytef *)(uintptr_t)bytes.p;
    z.avail_in = (uInt)bytes.n;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)most;
    const int e = deflate(&z, Z_FINISH);
    assert(e == Z_STREAM_END);
    buf_added(to, most - z.avail_out);
    deflateEnd(&z);
    return 0;
}
