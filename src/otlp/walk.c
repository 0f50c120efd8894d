/* From a request to its items, and an item in its surroundings. */
#include "otlp/otlp.h"

#include <assert.h>

#include "otlp/field.h"
#include "otlp/put.h"

const char *otlp_signal_name(unsigned signal)
{
    static const char *const names[OTLP_SIGNALS] = {"traces", "metrics", "logs"};
    return signal < OTLP_SIGNALS ? names[signal] : "unknown";
}

/* Where each level's children are: Resource*s in a request, Scope*s in those, items in those. */
enum { RESOURCES = FIELD(1, BYTES), SCOPES = FIELD(2, BYTES), ITEMS = FIELD(2, BYTES) };

void otlp_walk_init(struct otlp_walk *w, enum otlp_signal signal, struct str request)
{
    *w = (struct otlp_walk){.signal = signal, .request = request};
    buf_init(&w->resource, LIMIT_ORIGIN);
    buf_init(&w->scope, LIMIT_ORIGIN);
}

void otlp_walk_fini(struct otlp_walk *w)
{
    buf_fini(&w->resource);
    buf_fini(&w->scope);
}

/* Field 2 of a Resource* or Scope* message: its children, which come as bytes only. */
static bool is_child(struct fields *r, const struct field *f)
{
    if (f->tag == SCOPES)
        return true;
    fields_unknown(r, f, 1u << 2);
    return false;
}

/* Gathers what surrounds the children of a message, in runs that lie together. */
static int gather(struct buf *to, struct str message)
{
    struct fields r = fields_of(message);
    struct field f;
    const uint8_t *from = r.p, *at = r.p;
    buf_reset(to);
    while (fields_next(&r, &f)) {
        if (is_child(&r, &f)) {
            buf_add(to, from, (size_t)(at - from));
            from = r.p;
        }
        at = r.p;
    }
    if (r.err != 0)
        return r.err;
    buf_add(to, from, (size_t)(at - from));
    if (to->failed)
        return message.n > to->max ? -ERR_RANGE : -ERR_NOMEM;
    return 0;
}

/* How many children a message has, whose fields can be read. */
static size_t children(struct str message)
{
    struct fields r = fields_of(message);
    struct field f;
    size_t n = 0;
    while (fields_next(&r, &f))
        n += f.tag == ITEMS;
    return n;
}

static size_t grandchildren(struct str message)
{
    struct fields r = fields_of(message);
    struct field f;
    size_t n = 0;
    while (fields_next(&r, &f))
        if (f.tag == SCOPES)
            n += children(f.s);
    return n;
}

/* The next field of a level: true, with *left behind it. */
static bool next(struct otlp_walk *w, struct str *left, struct field *f)
{
    struct fields r = fields_of(*left);
    const bool found = fields_next(&r, f);
    w->err = r.err;
    *left = (struct str){(const char *)r.p, fields_left(&r)};
    return found;
}

/* An error that concerns this resource or scope alone is told once; others stay. */
static int refuse(struct otlp_walk *w, int e)
{
    if (e != -ERR_RANGE)
        w->err = e;
    return e;
}

static int enter_resource(struct otlp_walk *w, struct str message)
{
    const int e = gather(&w->resource, message);
    if (e == 0)
        w->in_resource = message;
    else
        w->skipped = grandchildren(message);
    w->fresh_resource = true;
    return refuse(w, e);
}

static int enter_scope(struct otlp_walk *w, struct str message)
{
    const int e = gather(&w->scope, message);
    if (e == 0)
        w->in_scope = message;
    else
        w->skipped = children(message);
    w->fresh_scope = true;
    return refuse(w, e);
}

static int hand_out(struct otlp_walk *w, struct str bytes, struct otlp_item *out)
{
    *out = (struct otlp_item){
        .signal = w->signal,
        .resource = buf_str(&w->resource),
        .scope = buf_str(&w->scope),
        .bytes = bytes,
        .new_resource = w->fresh_resource,
        .new_scope = w->fresh_scope,
    };
    w->fresh_resource = false;
    w->fresh_scope = false;
    return 1;
}

/* One step down or along: 1 with an item, 0 to go on, or an error. */
static int step(struct otlp_walk *w, struct otlp_item *out)
{
    struct field f;
    if (w->in_scope.n > 0) {
        if (!next(w, &w->in_scope, &f))
            return w->err;
        return f.tag == ITEMS ? hand_out(w, f.s, out) : 0;
    }
    if (w->in_resource.n > 0) {
        if (!next(w, &w->in_resource, &f))
            return w->err;
        return f.tag == SCOPES ? enter_scope(w, f.s) : 0;
    }
    if (!next(w, &w->request, &f))
        return w->err;
    if (f.tag >> 3 == 1 && f.tag != RESOURCES)
        w->err = -ERR_SYNTAX;
    return f.tag == RESOURCES ? enter_resource(w, f.s) : w->err;
}

int otlp_walk_next(struct otlp_walk *w, struct otlp_item *out)
{
    int e = w->err;
    w->skipped = 0;
    while (e == 0 && w->request.n + w->in_resource.n + w->in_scope.n > 0)
        e = step(w, out);
    return e;
}

/* The structure of one level, and its children added to *items. */
static int count_level(struct str message, unsigned level, size_t *items)
{
    struct fields r = fields_of(message);
    struct field f;
    while (fields_next(&r, &f)) {
        if (level > 0 ? !is_child(&r, &f) : f.tag != RESOURCES) {
            fields_unknown(&r, &f, level > 0 ? 1u << 2 : 1u << 1);
            continue;
        }
        const int e = level < 2 ? count_level(f.s, level + 1, items) : 0;
        if (e != 0)
            return e;
        *items += level == 2;
    }
    return r.err;
}

int otlp_count(struct str request, size_t *items)
{
    *items = 0;
    return count_level(request, 0, items);
}

void otlp_join(struct buf *to, struct str resource, struct str scope, struct str item)
{
    const size_t inner = scope.n + 1 + put_varint_size(item.n) + item.n;
    if (!buf_room(to, resource.n + 1 + put_varint_size(inner) + inner))
        return;
    buf_addstr(to, resource);
    put_head(to, 2, inner);
    buf_addstr(to, scope);
    put_bytes(to, 2, item);
}

/* Cuts a message whose last field is its one child. */
static int part(struct str message, struct str *before, struct str *child)
{
    struct fields r = fields_of(message);
    struct field f;
    const uint8_t *at = r.p;
    while (fields_next(&r, &f)) {
        if (!is_child(&r, &f)) {
            at = r.p;
            continue;
        }
        *before = (struct str){message.p, (size_t)((const char *)at - message.p)};
        *child = f.s;
        return r.p == r.end ? 0 : -ERR_SYNTAX;
    }
    return -ERR_SYNTAX;
}

int otlp_part(struct str joined, struct str *resource, struct str *scope, struct str *item)
{
    struct str inner;
    if (part(joined, resource, &inner) < 0)
        return -ERR_SYNTAX;
    return part(inner, scope, item);
}
