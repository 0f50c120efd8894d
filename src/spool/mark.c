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

bool spool_known_bad(const struct spool *s, uint64_t seq)
{
    for (size_t i = 0; i < s->nbad; i++)
        if (s->bad[i] == seq)
            return true;
    return false;
}

struct point spool_sure(const struct spool *s)
{
    return s->sure.seq < s->kept.seq ? s->sure : s->kept;
}

/* When there are too many the oldest is forgotten: it is behind the reader. */
void spool_note_bad(struct spool *s, const struct record_head *h)
{
    if (s->nbad == SPOOL_BAD)
        memmove(s->bad, s->bad + 1, --s->nbad * sizeof *s->bad);
    s->bad[s->nbad++] = h->at.seq;
}

/* A copy of it elsewhere is good. */
void spool_forget_bad(struct spool *s, uint64_t seq)
{
    size_t n = 0;
    for (size_t i = 0; i < s->nbad; i++)
        if (s->bad[i] != seq)
            s->bad[n++] = s->bad[i];
    s->nbad = n;
}

static bool counts(const struct scan *c)
{
    return c->h.at.seq >= c->g->low && c->h.at.seq < c->g->end &&
           !spool_known_bad(c->s, c->h.at.seq);
}

/* The next record of a segment that counts. */
static int next_of(struct scan *c)
{
    int r;
    while ((r = scan_next(c)) > 0 && !counts(c))
        ;
    return r;
}

/* What moving the mark to a number does, found before anything is changed. */
struct step {
    struct point mark;
    size_t i;                           /* segments before this one hold nothing any more */
    uint64_t tail, low, records, items; /* and of this one so much is gone */
};

/* The records of one segment: 1 when the mark comes to lie in it. */
static int walk(struct spool *s, const struct segment *g, uint64_t seq, struct step *to)
{
    struct scan c;
    *to = (struct step){.i = (size_t)(g - s->segments), .tail = g->tail, .low = g->low};
    int r = scan_begin(&c, s, g, g->tail);
    while (r >= 0 && (r = next_of(&c)) > 0) {
        if (c.h.at.seq >= seq) {
            to->mark = c.h.at;
            to->tail = c.found;
            to->low = c.h.at.seq;
            return 1;
        }
        to->tail = c.at;
        to->low = c.h.at.seq + 1;
        to->records++;
        to->items += c.h.items;
    }
    return r;
}

/* The mark comes to lie before a record that is there: numbers between that were given up
 * lie behind it, should they come back. */
static int plan(struct spool *s, uint64_t seq, struct step *to)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct segment *g = &s->segments[i];
        if (g->end <= seq || g->records == 0)
            continue;
        const int r = walk(s, g, seq, to);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    *to = (struct step){.mark = s->next, .i = s->n};
    return 0;
}

static void apply(struct spool *s, const struct step *step)
{
    s->mark = step->mark;
    for (size_t i = 0; i < s->n && i < step->i; i++)
        s->segments[i].records = s->segments[i].items = 0;
    if (step->i >= s->n)
        return;
    struct segment *g = &s->segments[step->i];
    g->tail = step->tail;
    g->low = step->low;
    g->records -= step->records < g->records ? step->records : g->records;
    g->items -= step->items < g->items ? step->items : g->items;
}

static void forget_passed(struct spool *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->nbad; i++)
        if (s->bad[i] >= s->mark.seq)
            s->bad[n++] = s->bad[i];
    s->nbad = n;
}

/* Into the head of the newest segment, or that of a new one. The copy that has the
 * mark before stays as it is. */
static int write_mark(struct spool *s, struct point mark)
{
    uint8_t bytes[SEGMENT_BLOCK];
    if (s->file < 0)
        return spool_start_segment(s, 0, mark);
    struct segment *g = spool_newest(s);
    struct segment_head h = g->head;
    h.turn++;
    h.mark = mark;
    h.durable = spool_sure(s);
    segment_block_write(bytes, &h);
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
    struct step step;
    if (seq > s->next.seq)
        seq = s->next.seq;
    if (seq <= s->mark.seq)
        return 0;
    int r = plan(s, seq, &step);
    if (r < 0 || (r = write_mark(s, step.mark)) < 0)
        return r;
    s->marked = true;
    apply(s, &step);
    forget_passed(s);
    return 0;
}

int spool_settle(struct spool *s)
{
    const int r = s->marked ? 0 : write_mark(s, s->mark);
    s->marked = r == 0;
    return r;
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
    uint64_t records, items, left_records, left_items;
    live(s, &records, &items);
    const int r = spool_advance(s, seq);
    if (r < 0)
        return r;
    live(s, &left_records, &left_items);
    s->dropped_records[why] += records - left_records;
    s->dropped_items[why] += items - left_items;
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

/* The oldest record that counts. */
static void find_oldest(struct spool *s)
{
    struct scan c;
    for (size_t i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        if (g->records == 0)
            continue;
        int r = scan_begin(&c, s, g, g->tail);
        if (r == 0)
            r = next_of(&c);
        if (r < 0) { /* it stays what it was, as far as that can be */
            s->oldest_seq = s->oldest_seq > s->mark.seq ? s->oldest_seq : s->mark.seq;
            return;
        }
        if (r == 0)
            continue;
        s->oldest_seq = c.h.at.seq;
        s->oldest_written = c.h.written;
        return;
    }
    s->oldest_seq = s->next.seq;
    s->oldest_written = 0;
}

/* From the front only: the head of a segment says where the one before it ends, and what
 * of it was never durable. */
void spool_reap(struct spool *s)
{
    size_t n = 0;
    while (s->marked && n + 1 < s->n && s->segments[n].records == 0 &&
           take_away(s, &s->segments[n]) == 0)
        n++;
    s->n -= n;
    if (n)
        memmove(s->segments, s->segments + n, s->n * sizeof *s->segments);
    find_oldest(s);
}
