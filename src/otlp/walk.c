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

enum {
    CHILD = 2, /* of a Resource* or Scope* message: its number */
    CHILDREN = 1u << CHILD,
    /* A call of otlp_walk_next() ends with the first of its units of work beyond this:
     * otherwise millions of fields without an item would hold the loop. */
    CALL_WORK = 512,
    GATHER_FIELDS = 64,
};

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

/* Begins a resource or scope: what is around its children comes first. */
static int enter(struct otlp_walk *w, struct buf *around, struct str message)
{
    w->entered = message;
    w->gathering = true;
    w->skipped = 0;
    gather_begin(&w->gather, message, CHILDREN, around);
    return 0;
}

/* The resource or scope is entered, or is too large. What is in a resource has to be counted
 * then; what is in a scope has been. */
static int entered(struct otlp_walk *w)
{
    const bool scope = w->gather.to == &w->scope;
    const int e = gather_result(&w->gather);
    w->gathering = false;
    *(scope ? &w->fresh_scope : &w->fresh_resource) = true;
    if (e != 0 && e != -ERR_RANGE)
        return e;
    if (e == 0 || !scope)
        *(scope ? &w->in_scope : &w->in_resource) = w->entered;
    w->over = e != 0 && !scope;
    w->skipped = e != 0 && scope ? w->gather.children : 0;
    return w->over ? 0 : e;
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

/* The next field of a level, of which something is left: 0, with *left behind it, or why it
 * cannot be read. */
static int next(struct str *left, struct field *f)
{
    struct fields r = fields_of(*left);
    (void)fields_next(&r, f);
    *left = (struct str){(const char *)r.p, fields_left(&r)};
    return r.err;
}

static int step_scope(struct otlp_walk *w, struct otlp_item *out)
{
    struct field f;
    const int bad = next(&w->in_scope, &f);
    if (bad != 0)
        return bad;
    if (f.tag != ITEMS)
        return 0;
    w->skipped += w->over;
    return w->over ? 0 : hand_out(w, f.s, out);
}

static int step_resource(struct otlp_walk *w)
{
    struct field f;
    const int bad = next(&w->in_resource, &f);
    if (bad != 0)
        return bad;
    if (f.tag != SCOPES)
        return 0;
    if (!w->over)
        return enter(w, &w->scope, f.s);
    w->in_scope = f.s;
    return 0;
}

static int step_request(struct otlp_walk *w)
{
    struct field f;
    const int bad = next(&w->request, &f);
    if (bad != 0)
        return bad;
    if (f.tag == RESOURCES)
        return enter(w, &w->resource, f.s);
    return f.tag >> 3 == 1 ? -ERR_SYNTAX : 0;
}

/* One step down or along: 1 with an item, 0 to go on, or an error. */
static int step(struct otlp_walk *w, struct otlp_item *out)
{
    if (w->gathering)
        return gather_step(&w->gather, GATHER_FIELDS, &w->work) ? 0 : entered(w);
    w->work++;
    if (w->in_scope.n > 0)
        return step_scope(w, out);
    if (w->in_resource.n > 0)
        return step_resource(w);
    if (!w->over)
        return step_request(w);
    w->over = false;
    return -ERR_RANGE;
}

static bool has_more(const struct otlp_walk *w)
{
    return w->gathering || w->over || w->request.n + w->in_resource.n + w->in_scope.n > 0;
}

int otlp_walk_next(struct otlp_walk *w, struct otlp_item *out)
{
    const size_t until = w->work + CALL_WORK;
    int e = w->err;
    while (e == 0 && has_more(w)) {
        if (w->work >= until)
            return OTLP_MORE;
        e = step(w, out);
    }
    if (e < 0 && e != -ERR_RANGE) /* which concerns one resource or scope alone */
        w->err = e;
    return e;
}

const uint8_t *otlp_walk_trace_ahead(const struct otlp_walk *w)
{
    enum { ID = sizeof(((struct trace_ref *)0)->trace_id), LONGEST = 3 + 2 + ID };
    const uint8_t *p = (const uint8_t *)w->in_scope.p;
    if (w->in_scope.n < LONGEST || p[0] != ITEMS)
        return NULL;
    p += p[1] < 0x80 ? 2 : 3; /* a longer one leads elsewhere, at worst to another id */
    return p[0] == FIELD(1, BYTES) && p[1] == ID ? p + 2 : NULL;
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
    for (const uint8_t *at = fields_pass_short(&r, CHILD); fields_next(&r, &f);
         at = fields_pass_short(&r, CHILD)) {
        if (f.tag != ITEMS) {
            fields_unknown(&r, &f, CHILDREN);
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
