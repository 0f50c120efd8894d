#include "cli/stamp.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "client/traceparent.h"
#include "mcp/inject.h"

static_assert((int)CHANNEL_PIECE >= (int)INJECT_MAX, "a piece holds what is injected");

enum { SIGN = 4 }; /* bytes of a span id that come from the others and the key */

bool stamp_init(struct stamp *s, const char *parent)
{
    struct trace_ref from;
    unsigned flags;
    *s = (struct stamp){.wanted = true, .flags = 1};
    if (parent && traceparent_parse(parent, &from, &flags)) {
        s->parent = from;
        s->flags = flags;
    }
    return getrandom(&s->key, sizeof s->key, 0) == (ssize_t)sizeof s->key;
}

/* The last bytes of a span id say whether it is ours. */
static uint32_t sign(const struct stamp *s, const struct trace_ref *t)
{
    uint8_t bytes[sizeof t->trace_id + sizeof t->span_id - SIGN];
    memcpy(bytes, t->trace_id, sizeof t->trace_id);
    memcpy(bytes + sizeof t->trace_id, t->span_id, sizeof t->span_id - SIGN);
    return (uint32_t)hash_bytes(bytes, sizeof bytes, s->key);
}

static bool has_trace(const struct trace_ref *t)
{
    static const struct trace_ref none;
    return memcmp(t->trace_id, none.trace_id, sizeof t->trace_id) != 0;
}

/* Random by the key and a counter: no system call for each request. */
static void make(struct stamp *s, struct trace_ref *out)
{
    uint64_t r[3];
    s->count++;
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t seed[2] = {s->count, i};
        r[i] = hash_bytes(seed, sizeof seed, s->key);
    }
    *out = s->parent;
    if (!has_trace(out))
        memcpy(out->trace_id, r, sizeof out->trace_id);
    memcpy(out->span_id, &r[2], sizeof out->span_id);
    const uint32_t signature = sign(s, out);
    memcpy(out->span_id + sizeof out->span_id - SIGN, &signature, SIGN);
}

size_t stamp_line(void *arg, const char *line, size_t n, char piece[CHANNEL_PIECE], size_t *at)
{
    struct stamp *s = arg;
    struct inject_place place;
    struct trace_ref trace;
    char text[TRACEPARENT_SIZE + 1];
    if (!inject_find(line, n, &place))
        return 0;
    make(s, &trace);
    traceparent_format(text, &trace, s->flags);
    *at = place.at;
    return inject_piece(piece, &place, text);
}

bool stamp_is_ours(const struct stamp *s, const char *traceparent)
{
    struct trace_ref t;
    unsigned flags;
    uint32_t signature;
    if (!s || !s->wanted || !traceparent_parse(traceparent, &t, &flags))
        return false;
    memcpy(&signature, t.span_id + sizeof t.span_id - SIGN, SIGN);
    return signature == sign(s, &t);
}
