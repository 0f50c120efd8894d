/* The mark: it moves durably before anything that lies before it is forgotten. */
#include <string.h>

#include "spool/state.h"

uint64_t spool_bytes(const struct spool *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->segments[i].size;
    return sum;
}

static bool counts(const struct segment *g, const struct record_head *h)
{
    return h->at.seq >= g->low && h->at.seq < g->end;
}

/* The next record of a segment that counts. */
static int next_of(struct scan *c)
{
    int r;
    while ((r = scan_next(c)) > 0 && !counts(c->g, &c->h))
        ;
    return r;
}

/* The totals at a number that lies before s->next. */
static int point_of(struct spool *s, uint64_t seq, struct point *to)
{
    struct scan c;
    for (size_t i = 0; i < s->n; i++) {
        const struct segment *g = &s->segments[i];
        if (g->end <= seq || g->records == 0)
            continue;
        int r = scan_begin(&c, s, g, g->tail);
        while (r >= 0 && (r = next_of(&c)) > 0)
            if (c.h.at.seq >= seq) {
                *to = (struct point){seq, c.h.at.records, c.h.at.items};
                return 0;
            }
        if (r < 0)
            return r;
    }
    *to = (struct point){seq, s->next.records, s->next.items};
    return 0;
}

/* What of a segment lies before the mark does not count any more. */
static void forget(struct spool *s, struct segment *g)
{
    struct scan c;
    if (g->end <= s->mark.seq || g->records == 0) {
        g->records = g->items = 0;
        return;
    }
    if (scan_begin(&c, s, g, g->tail) < 0)
        return;
    while (next_of(&c) > 0) {
        g->tail = c.found;
        if (c.h.at.seq >= s->mark.seq)
            return;
        g->tail = c.at;
        g->low = c.h.at.seq + 1;
        g->records -= g->records > 0;
        g->items -= c.h.items < g->items ? c.h.items : g->items;
    }
}

static void forget_bad(struct spool *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->nbad; i++)
        if (s->bad[i].seq >= s->mark.seq)
            s->bad[n++] = s->bad[i];
    s->nbad = n;
}

/* Into the head of the newest segment, or that of a new one. The copy that has the
 * mark before stays as it is. */
static int write_mark(struct spool *s, struct point mark)
{
    uint8_t bytes[SEGMENT_HEAD];
    if (s->file < 0)
        return spool_start_segment(s, 0, mark);
    struct segment *g = spool_newest(s);
    struct segment_head h = g->head;
    h.turn++;
    h.mark = mark;
    h.kept = s->kept;
    segment_head_write(bytes, &h);
    const uint64_t at = (uint64_t)SEGMENT_BLOCK * (1 + h.turn % 2);
    int r = s->io.write(s->io.arg, s->file, at, bytes, sizeof bytes);
    if (r < 0)
        return r;
    r = s->io.sync(s->io.arg, s->file);
    if (r < 0) {
        spool_abandon(s);
        return r;
    }
    g->head = h;
    s->kept = s->next;
    s->kept_used = g->used;
    return 0;
}

int spool_advance(struct spool *s, uint64_t seq)
{
    struct point mark;
    if (seq > s->next.seq)
        seq = s->next.seq;
    if (seq <= s->mark.seq)
        return 0;
    int r = point_of(s, seq, &mark);
    if (r < 0 || (r = write_mark(s, mark)) < 0)
        return r;
    s->mark = mark;
    for (size_t i = 0; i < s->n; i++)
        forget(s, &s->segments[i]);
    forget_bad(s);
    return 0;
}

static void live(const struct spool *s, uint64_t *records, uint64_t *items)
{
    *records = *items = 0;
    for (size_t i = 0; i < s->n; i++) {
        *records += s->segments[i].records;
        *items += s->segments[i].items;
    }
}

int spool_drop(struct spool *s, uint64_t seq, unsigned why)
{
    uint64_t records, items, left_records, left_items, bad = 0, bad_items = 0;
    live(s, &records, &items);
    for (size_t i = 0; i < s->nbad; i++)
        if (s->bad[i].seq < seq) { /* counted when it was found */
            bad++;
            bad_items += s->bad[i].items;
        }
    const int r = spool_advance(s, seq);
    if (r < 0)
        return r;
    live(s, &left_records, &left_items);
    records -= left_records;
    items -= left_items;
    s->dropped_records[why] += records > bad ? records - bad : 0;
    s->dropped_items[why] += items > bad_items ? items - bad_items : 0;
    return 0;
}

static int take_away(struct spool *s, const struct segment *g)
{
    char name[SPOOL_NAME];
    if (s->read_file >= 0 && s->read_name == g->name) {
        s->io.close(s->io.arg, s->read_file);
        s->read_file = -1;
    }
    if (g->damaged)
        return spool_set_aside(s, g->name, g->size);
    spool_name(name, g->name, false);
    const int r = s->io.remove(s->io.arg, name);
    return r == -ERR_NOTFOUND ? 0 : r;
}

/* The newest one stays, for it has the mark and the numbers; but it gives its room back. */
void spool_shrink(struct spool *s)
{
    struct segment *g = spool_newest(s);
    if (!g || s->file < 0 || g->records || g->damaged || g->size <= SEGMENT_DATA ||
        s->kept.seq != s->next.seq || s->io.cut(s->io.arg, s->file, SEGMENT_DATA) < 0)
        return;
    g->size = g->used = g->tail = SEGMENT_DATA;
    s->writing = false;
}

void spool_reap(struct spool *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        if (i + 1 < s->n && g->records == 0 && take_away(s, g) == 0)
            continue;
        s->segments[n++] = *g;
    }
    s->n = n;
    spool_refresh(s);
}

void spool_refresh(struct spool *s)
{
    struct scan c;
    s->oldest_seq = s->next.seq;
    s->oldest_written = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        if (g->records == 0)
            continue;
        if (scan_begin(&c, s, g, g->tail) < 0)
            return;
        while (next_of(&c) > 0)
            if (c.h.at.seq >= s->mark.seq) {
                s->oldest_seq = c.h.at.seq;
                s->oldest_written = c.h.written;
                return;
            }
    }
}
