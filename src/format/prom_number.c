#include "format/prom_number.h"

#include "base/bytes.h"
#include "format/prom_put.h"

enum { CREATED_TEXT = 16 }; /* bytes of _created, and what stands between the parts of a line */

/* What the lines of a run have in common. The usual kinds are constants where the loop over a run
 * is expanded, so that it decides nothing by line. */
struct number_kind {
    bool whole;   /* u64, else f64 */
    bool created; /* a second line says since when */
};

/* name{labels} and a space */
static inline char *put_lead(char *p, const struct prom_family *f, struct str labels)
{
    if (labels.n == 0) {
        p = put_steps(p, f->name, f->lead_size - 1);
        *p++ = ' ';
        return p;
    }
    p = put_steps(p, f->name, f->lead_size);
    p = put_laps(p, labels.p, labels.n);
    return put(p, "} ", 2);
}

/* The same of when it began, its labels from the line before, which ends in `lead`. */
static inline char *put_created(char *p, const struct prom_family *f, const char *line, size_t lead,
                                uint64_t created)
{
    const size_t sample = f->lead_size - 1;
    p = put_steps(p, f->name, f->name_size);
    p = put(p, "_created", 8);
    p = put_laps(p, line + sample, lead - sample);
    return put_time(p, created);
}

static inline char *put_lines(char *line, const struct prom_family *f, const struct number_view *s,
                              struct number_kind kind)
{
    char *p = put_lead(line, f, s->labels);
    const size_t lead = (size_t)(p - line);
    p = kind.whole ? put_whole(p, s->bits) : put_double(p, bits_f64(s->bits));
    return kind.created ? put_created(p, f, line, lead, s->created) : p;
}

static inline size_t room_of(const struct prom_family *f, const struct number_view *s,
                             struct number_kind kind)
{
    const size_t line = f->lead_size + s->labels.n + CREATED_TEXT + NUM_F64_MAX + STEP;
    return kind.created ? 2 * line : line;
}

/* The lines of the first one, for which there is room, and of those behind it up to the one that
 * reaches `end`, or for which there is no room: how many it came past. */
static inline unsigned put_run(struct buf *to, const struct prom_family *f,
                               const struct number_view *s, unsigned n, size_t end,
                               struct number_kind kind)
{
    char *const begin = to->p, *p = begin + to->n;
    const size_t cap = to->cap;
    unsigned i = 0;
    do {
        if (s[i].present)
            p = put_lines(p, f, &s[i], kind);
    } while (++i < n && (size_t)(p - begin) < end &&
             room_of(f, &s[i], kind) <= cap - (size_t)(p - begin));
    to->n = (size_t)(p - begin);
    return i;
}

static unsigned add_run(struct buf *to, const struct prom_family *f, const struct number_view *s,
                        unsigned n, size_t end, struct number_kind kind)
{
    static const struct number_kind whole = {.whole = true},
                                    both = {.whole = true, .created = true};
    if (!buf_room(to, room_of(f, s, kind)))
        return 1;
    if (!kind.whole)
        return put_run(to, f, s, n, end, kind);
    return kind.created ? put_run(to, f, s, n, end, both) : put_run(to, f, s, n, end, whole);
}

static unsigned absent(const struct number_view *s, unsigned n)
{
    unsigned i = 0;
    while (i < n && !s[i].present)
        i++;
    return i;
}

unsigned prom_number_show(const struct prom_family *f, const struct number_view *s, unsigned n,
                          bool *headed, struct buf *to, struct prom_share *left)
{
    const struct number_kind kind = {.whole = f->m.type == VALUE_U64,
                                     .created = f->format == PROM_OPENMETRICS &&
                                                f->shape == SHAPE_COUNTER};
    const unsigned lines = PROM_SKIP + 1 + kind.created;
    const unsigned most = left->lines > lines ? left->lines / lines : 1;
    unsigned done = absent(s, n);
    if (done > 0) {
        prom_spend(left, PROM_SKIP * done);
        return done;
    }
    prom_family_begin(f, headed, to);
    done = add_run(to, f, s, n < most ? n : most, left->bytes, kind);
    prom_spend(left, lines * done);
    return done;
}
