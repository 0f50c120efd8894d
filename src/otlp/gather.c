#include "otlp/gather.h"

#include "otlp/field.h"

enum {
    COPY_WORK = 64, /* bytes that are copied in the time that a field is passed over */
    ONE_BYTE = 15,  /* the largest number of a field whose tag is one byte */
};

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

/* The next field; `at`: where it begins. Whether it is a child. */
static bool take(struct gather *g, struct fields *r, const struct field *f, const uint8_t *at,
                 size_t *work)
{
    if (!is_child(g, r, f))
        return false;
    copy(g, at, work);
    g->run = (const char *)r->p;
    g->number = f->tag >> 3;
    g->child = f->s;
    g->children++;
    return true;
}

/* Children like the newest, directly behind it: at most so many. A child's head is not known
 * before that of the one before it, so each is got from memory where it would lie if the two
 * before it had the same size. */
static unsigned take_likes(struct gather *g, struct fields *r, unsigned most)
{
    const uint8_t tag = (uint8_t)(g->number << 3 | FIELD_BYTES), *p = r->p;
    unsigned n = 0;
    if (g->number > ONE_BYTE)
        return 0;
    for (; n < most && r->end - p >= 3 && p[0] == tag; n++) {
        const unsigned head = p[1] < 0x80 ? 2 : 3;
        const size_t size = p[1] < 0x80 ? p[1] : (p[1] & 0x7fu) | (unsigned)p[2] << 7;
        if ((head == 3 && p[2] >= 0x80) || size + head > (size_t)(r->end - p))
            break;
        g->child = (struct str){(const char *)p + head, size};
        p += head + size;
        __builtin_prefetch((const void *)((uintptr_t)p + 2 * size));
    }
    g->children += n;
    g->run = (const char *)p;
    r->p = p;
    return n;
}

bool gather_step(struct gather *g, unsigned fields, size_t *work)
{
    struct fields r = fields_of(g->left);
    struct field f;
    const uint8_t *at = r.p;
    unsigned n = 0;
    while (n < fields && fields_next(&r, &f)) {
        n++;
        if (take(g, &r, &f, at, work) && r.err == 0)
            n += take_likes(g, &r, fields - n);
        at = r.p;
    }
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
