/* Opens whatever lies in the directory. Nothing here trusts a file that has no good
 * checksum, and nothing is thrown away because it could not be read just now. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "spool/state.h"

/* ---- names ---- */

struct listing {
    uint64_t *names;
    size_t n, room;
    struct spool *s;
    bool failed;
};

static bool parse(const char *name, uint64_t *number, bool *damaged)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        const char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *number = v;
    *damaged = strcmp(name + 16, ".damaged") == 0;
    return *damaged || strcmp(name + 16, ".spool") == 0;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void keep_aside(struct spool *s, uint64_t name, uint64_t size);

/* Names that are not ours are left alone, and not even looked at. */
static void on_name(void *arg, const char *name)
{
    struct listing *l = arg;
    uint64_t number;
    bool damaged;
    if (strnlen(name, SPOOL_NAME) >= SPOOL_NAME || !parse(name, &number, &damaged) ||
        number > UINT64_MAX / 2)
        return;
    if (number >= l->s->next_name)
        l->s->next_name = number + 1;
    if (l->n == SPOOL_FILES)
        return;
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        uint64_t *more = realloc(l->names, l->room * sizeof *more);
        if (!more) {
            l->failed = true;
            l->room = l->n;
            return;
        }
        l->names = more;
    }
    /* The lowest bit says which of the two it is. */
    l->names[l->n++] = number << 1 | damaged;
}

/* ---- what is aside ---- */

static void forget_aside(struct spool *s)
{
    s->naside--;
    memmove(s->aside, s->aside + 1, s->naside * sizeof *s->aside);
    memmove(s->aside_size, s->aside_size + 1, s->naside * sizeof *s->aside_size);
}

/* The newest is kept whatever its size: it is no larger than a segment was. */
static void keep_aside(struct spool *s, uint64_t name, uint64_t size)
{
    uint64_t sum = 0;
    char text[SPOOL_NAME];
    s->aside[s->naside] = name;
    s->aside_size[s->naside++] = size;
    for (size_t i = 0; i < s->naside; i++)
        sum += s->aside_size[i];
    while (s->naside > SPOOL_ASIDE || (s->naside > 1 && sum > s->o.bytes / SPOOL_SHARE)) {
        sum -= s->aside_size[0];
        spool_name(text, s->aside[0], true);
        (void)s->io.remove(s->io.arg, text);
        forget_aside(s);
    }
}

int spool_set_aside(struct spool *s, uint64_t name, uint64_t size)
{
    char from[SPOOL_NAME], to[SPOOL_NAME];
    spool_name(from, name, false);
    spool_name(to, name, true);
    const int r = s->io.rename(s->io.arg, from, to);
    if (r < 0)
        return r == -ERR_NOTFOUND ? 0 : r;
    keep_aside(s, name, size);
    return 0;
}

static void find_aside(struct spool *s, uint64_t name)
{
    char text[SPOOL_NAME];
    uint64_t size;
    int file;
    spool_name(text, name, true);
    if (s->io.open(s->io.arg, text, false, &file, &size) < 0)
        size = 0;
    else
        s->io.close(s->io.arg, file);
    keep_aside(s, name, size);
}

/* ---- heads ---- */

static void later(struct point *a, const struct point *b)
{
    if (b->seq > a->seq)
        *a = *b;
}

/* 1 when one of the copies at least is good, 0 when none is. */
static int read_head(struct spool *s, int file, struct segment_head *head, bool tolerant)
{
    uint8_t bytes[SEGMENT_HEAD];
    bool found = false;
    for (uint64_t at = 0; at < SEGMENT_DATA; at += SEGMENT_TWIN) {
        struct segment_head h;
        const int got = s->io.read(s->io.arg, file, at, bytes, sizeof bytes);
        if (got < 0 && !tolerant)
            return got;
        if (got != SEGMENT_HEAD || !segment_head_read(&h, bytes))
            continue;
        if (!found)
            *head = h;
        found = true;
        later(&head->durable, &h.durable);
        if (h.turn >= head->turn) { /* the copy that the next mark must not touch */
            head->turn = h.turn;
            later(&head->mark, &h.mark);
        }
    }
    return found;
}

/* A file that was made and never written to, as after a loss of power: 1. */
static int is_blank(struct spool *s, int file, uint64_t size)
{
    uint8_t chunk[4096];
    for (uint64_t at = 0; at < size; at += sizeof chunk) {
        const int got = s->io.read(s->io.arg, file, at, chunk, sizeof chunk);
        if (got <= 0)
            return got;
        for (int i = 0; i < got; i++)
            if (chunk[i])
                return 0;
    }
    return 1;
}

static int add_segment(struct spool *s, const struct segment *g)
{
    const int r = spool_reserve(s);
    if (r == 0)
        s->segments[s->n++] = *g;
    return r;
}

/* A file that has no head: nothing of it can be told from chance. */
static int refuse(struct spool *s, int file, const struct segment *g, bool tolerant)
{
    char name[SPOOL_NAME];
    const int blank = is_blank(s, file, g->size);
    if (blank < 0 && !tolerant)
        return blank;
    spool_name(name, g->name, false);
    if (blank == 1)
        (void)s->io.remove(s->io.arg, name);
    else
        (void)spool_set_aside(s, g->name, g->size);
    return 0;
}

static int find_segment(struct spool *s, uint64_t number, bool tolerant)
{
    struct segment g = {.name = number, .tail = SEGMENT_DATA, .used = SEGMENT_DATA};
    char name[SPOOL_NAME];
    int file;
    spool_name(name, number, false);
    int r = s->io.open(s->io.arg, name, false, &file, &g.size);
    if (r == -ERR_NOTFOUND)
        return 0;
    if (r == -ERR_IO && !tolerant)
        return r;
    if (r < 0) { /* a directory, a link, another's file */
        (void)spool_set_aside(s, number, 0);
        return 0;
    }
    r = read_head(s, file, &g.head, tolerant);
    if (r == 0)
        r = refuse(s, file, &g, tolerant);
    else if (r > 0)
        r = add_segment(s, &g);
    s->io.close(s->io.arg, file);
    return r;
}

static int by_first(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    if (x->head.first.seq != y->head.first.seq)
        return x->head.first.seq < y->head.first.seq ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

static int find_segments(struct spool *s, bool tolerant)
{
    struct listing l = {.s = s};
    int r = s->io.list(s->io.arg, on_name, &l);
    if (l.failed)
        r = -ERR_NOMEM;
    if (l.n)
        qsort(l.names, l.n, sizeof *l.names, by_number);
    for (size_t i = 0; r >= 0 && i < l.n; i++) {
        if (l.names[i] & 1)
            find_aside(s, l.names[i] >> 1);
        else
            r = find_segment(s, l.names[i] >> 1, tolerant);
    }
    free(l.names);
    if (s->n)
        qsort(s->segments, s->n, sizeof *s->segments, by_first);
    return r < 0 ? r : 0;
}

/* ---- records ---- */

struct walk {
    struct spool *s;
    bool tolerant, failed;
    struct point at; /* before the next record that is expected */
};

static const struct point *least(const struct point *a, const struct point *b)
{
    return a->records < b->records ? a : b;
}

static const struct point *greatest(const struct point *a, const struct point *b)
{
    return a->records > b->records ? a : b;
}

/* Records between two points are gone. Those that were durable for sure are damage: of
 * segment i, or of what was before all segments, those up to where the next one says. */
static void note_lost(struct spool *s, const struct point *from, const struct point *to)
{
    static const struct point beginning;
    for (size_t i = 0; i <= s->n; i++) { /* the segment before the i-th */
        const struct point *a = greatest(from, i ? &s->segments[i - 1].head.first : &beginning);
        const struct point *b = least(to, i < s->n ? &s->segments[i].head.sure : &s->kept);
        if (b->records <= a->records)
            continue;
        s->dropped_records[SPOOL_DAMAGED] += b->records - a->records;
        s->dropped_items[SPOOL_DAMAGED] += b->items > a->items ? b->items - a->items : 0;
        if (i)
            s->segments[i - 1].damaged = true;
    }
}

static void accept(struct walk *w, struct segment *g, const struct scan *c)
{
    note_lost(w->s, &w->at, &c->h.at);
    spool_forget_bad(w->s, c->h.at.seq);
    g->records++;
    g->items += c->h.items;
    g->used = c->at < g->size ? c->at : g->size;
    w->at = (struct point){c->h.at.seq + 1, c->h.at.records + 1, c->h.at.items + c->h.items};
}

/* The records that were never durable end where the next segment says so; a segment
 * that begins at the same number is a copy and says nothing. NULL: there is none. */
static const struct segment_head *after(const struct spool *s, size_t i)
{
    for (size_t k = i + 1; k < s->n; k++)
        if (s->segments[k].head.first.seq > s->segments[i].head.first.seq)
            return &s->segments[k].head;
    return NULL;
}

/* A record that may never have been durable is taken if it is whole: 1. */
static int whole(struct scan *c, uint64_t sure)
{
    if (c->h.at.seq < sure)
        return 1;
    const int good = scan_payload(c);
    if (good == 0)
        spool_note_bad(c->s, &c->h);
    return good;
}

static int walk_segment(struct walk *w, struct segment *g, uint64_t sure, uint64_t end)
{
    struct scan c;
    g->low = w->at.seq;
    int r = scan_begin(&c, w->s, g, SEGMENT_DATA);
    c.tolerant = w->tolerant;
    while (r >= 0 && (r = scan_next(&c)) > 0) {
        if (c.h.at.seq >= end)
            break;
        if (c.h.at.seq < g->low)
            g->tail = g->used = c.at;
        else if ((r = whole(&c, sure)) > 0)
            accept(w, g, &c);
    }
    g->end = w->at.seq > g->low ? w->at.seq : g->low;
    w->failed |= c.failed;
    return r < 0 ? r : 0;
}

/* What is known to be durable: the records of the newest segment say so of those before
 * them. */
static int find_kept(struct walk *w)
{
    struct spool *s = w->s;
    for (size_t i = 0; i < s->n; i++) {
        struct scan c;
        later(&s->mark, &s->segments[i].head.mark);
        later(&s->kept, &s->segments[i].head.durable);
        if (after(s, i))
            continue;
        int r = scan_begin(&c, s, &s->segments[i], SEGMENT_DATA);
        c.tolerant = w->tolerant;
        while (r >= 0 && (r = scan_next(&c)) > 0)
            later(&s->kept, &c.h.kept);
        if (r < 0)
            return r;
    }
    return 0;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Numbers go on behind everything that was ever given out, and behind what may have
 * been and cannot be read. */
static void find_next(struct walk *w)
{
    struct spool *s = w->s;
    struct point n = w->at;
    n.seq = most(n.seq, most(s->kept.seq, s->mark.seq));
    n.records = most(n.records, most(s->kept.records, s->mark.records));
    n.items = most(n.items, most(s->kept.items, s->mark.items));
    for (size_t i = 0; i < s->n; i++)
        n.seq = most(n.seq, s->segments[i].head.first.seq);
    for (size_t i = 0; i < s->nbad; i++) /* a number is not given out twice */
        n.seq = most(n.seq, s->bad[i] + 1);
    if (w->failed && s->n) {
        const struct segment *g = spool_newest(s);
        n.seq = most(n.seq, g->head.first.seq + g->size / SEGMENT_SECTOR + 1);
    }
    if (w->failed)
        n.seq = most(n.seq, s->next_name + SPOOL_FILES);
    s->sure = (struct point){s->kept.seq, s->kept.records, s->kept.items};
    s->next = s->kept = n;
}

static int walk_all(struct spool *s, bool tolerant)
{
    struct walk w = {.s = s, .tolerant = tolerant};
    int r = find_kept(&w);
    w.at = s->mark;
    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        const struct segment_head *next = after(s, i);
        r = walk_segment(&w, &s->segments[i], next ? next->sure.seq : s->kept.seq,
                         next ? next->kept.seq : UINT64_MAX);
    }
    if (r < 0)
        return r;
    note_lost(s, &w.at, &s->kept);
    find_next(&w);
    return 0;
}

/* The newest segment goes on having the mark. Records that were found at its end, and its
 * name, may not be durable yet. */
static void take_over(struct spool *s)
{
    struct segment *g = spool_newest(s);
    char name[SPOOL_NAME];
    uint64_t size;
    int file;
    if (!g)
        return;
    spool_name(name, g->name, false);
    if (s->io.open(s->io.arg, name, true, &file, &size) < 0)
        return;
    if (s->io.sync(s->io.arg, file) < 0 || s->io.sync_dir(s->io.arg) < 0) {
        s->io.close(s->io.arg, file);
        return;
    }
    if (!g->damaged && g->size > g->used && s->io.cut(s->io.arg, file, g->used) == 0)
        g->size = g->used;
    s->file = file;
    s->kept_used = g->used;
}

static void start_over(struct spool *s)
{
    if (s->read_file >= 0)
        s->io.close(s->io.arg, s->read_file);
    s->read_file = -1;
    s->n = s->naside = s->nbad = 0;
    s->next_name = 1;
    s->next = s->kept = s->mark = (struct point){.seq = 1};
    memset(s->dropped_records, 0, sizeof s->dropped_records);
    memset(s->dropped_items, 0, sizeof s->dropped_items);
}

int spool_recover(struct spool *s)
{
    const bool tolerant = ++s->tries > SPOOL_TRIES;
    start_over(s);
    int r = find_segments(s, tolerant);
    if (r == 0)
        r = walk_all(s, tolerant);
    if (r < 0)
        return r;
    s->recovered = true;
    s->tries = 0;
    take_over(s);
    /* The mark may come from a write whose sync has failed: it is there as long as the
     * memory is. */
    s->marked = s->mark.seq <= 1;
    if (s->file >= 0)
        (void)spool_settle(s);
    spool_reap(s);
    spool_shrink(s);
    return 0;
}
