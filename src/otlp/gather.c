#include "otlp/gather.h"

#include "otlp/field.h"

enum { COPY_WORK = 64 }; /* bytes that are copied in the time that a field is passed over */

void gather_begin(struct gather *g, struct str message, uint32_t numbers, struct buf *to)
{
    buf_reset(to);
    *g = (struct gather){.left = message, .run = message.p, .numbers = numbers, .to = to};
}

/* What lies between the children, up to `end`. */
static void copy(struct gather *g, const uint8_t *end, size_t *work)
{
    const size_t n = (size_t)((const char *)end - g->run);
    g->over = g->over || n > g->to->max - g->to->n;
    if (g->over || n == 0)
        return;
    buf_add(g->to, g->run, n);
    *work += n / COPY_WORK;
}

static bool is_child(const struct gather *g, struct fields *r, const struct field *f)
{
    const uint32_t number = f->tag >> 3;
    if ((f->tag & 7) == FIELD_BYTES && number < 32 && (g->numbers >> number & 1))
        return true;
    fields_unknown(r, f, g->numbers);
    return false;
}

/* The next field; `at`: where it begins. */
static void take(struct gather *g, struct fields *r, const struct field *f, const uint8_t *at,
                 size_t *work)
{
    if (!is_child(g, r, f))
        return;
    copy(g, at, work);
    g->run = (const char *)r->p;
    g->number = f->tag >> 3;
    g->child = f->s;
    g->children++;
}

bool gather_step(struct gather *g, unsigned fields, size_t *work)
{
    struct fields r = fields_of(g->left);
    struct field f;
    const uint8_t *at = r.p;
    unsigned n = 0;
    for (; n < fields && fields_next(&r, &f); n++, at = r.p)
        take(g, &r, &f, at, work);
    *work += n;
    g->left = (struct str){(const char *)r.p, fields_left(&r)};
    g->err = r.err;
    if (n < fields && r.err == 0)
        copy(g, at, work);
    return n == fields && r.err == 0; /* or the next step would begin without the error */
}

int gather_result(const struct gather *g)
{
    if (g->err != 0)
        return g->err;
    return g->over ? -ERR_RANGE : g->to->failed ? -ERR_NOMEM : 0;
}
