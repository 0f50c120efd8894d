/* store_check(): every structure of a segment, walked once. */
#include <stdio.h>
#include <stdlib.h>

#include "store/label_text.h"
#include "store/read.h"
#include "store/series.h"
#include "store/session_ring.h"
#include "store/sketch.h"
#include "store/space.h"
#include "store/stream.h"

enum { WORD = 8, KEYS_LEAST = 64 };

/* A text of keys, and how many label texts have been found to have it. */
struct keys {
    uint64_t place, texts;
};

struct finding {
    char *why;
    size_t size;
    uint64_t pages, parts; /* of all sketches and gauges, so far */
    struct keys *keys;     /* a hash table with room for twice as many; owned */
    uint64_t nkeys, room;
};

#define BAD(f, ...) (snprintf((f)->why, (f)->size, __VA_ARGS__), -ERR_DAMAGED)

static const char *const table_names[TABLE_MAX] = {"metrics", "series", "sessions", "parts",
                                                   "streams"};

static const struct record_head *record(const struct store *st, int t, uint64_t i)
{
    const uint64_t at = table_offset(st, (enum store_table_id)t, (uint32_t)i);
    return store_at(st, at, sizeof(struct record_head));
}

/* Length of a free list of records; UINT64_MAX when it leaves the table or loops. */
static uint64_t free_length(const struct store *st, int t, uint64_t i, uint64_t used)
{
    uint64_t n = 0;
    for (; i; i = record(st, t, i)->link)
        if (i >= used || ++n > used)
            return UINT64_MAX;
    return n;
}

static int check_chains(const struct store *st, int t, struct finding *f)
{
    const struct table_head *h = &st->head->table[t];
    const struct section_place *p = &st->head->section[table_buckets((enum store_table_id)t)];
    uint64_t seen = 0;
    if (h->buckets > p->size / WORD)
        return BAD(f, "%s: %llu buckets", table_names[t], (unsigned long long)h->buckets);
    for (uint64_t b = 0; b < h->buckets; b++) {
        for (uint64_t i = store_get(st, p->offset + b * WORD); i; i = record(st, t, i)->link) {
            if (i >= h->used || ++seen > h->used)
                return BAD(f, "%s: hash chain %llu is broken", table_names[t],
                           (unsigned long long)b);
            if (record(st, t, i)->hash == 0)
                return BAD(f, "%s: free record %llu in a chain", table_names[t],
                           (unsigned long long)i);
        }
    }
    if (seen != h->live)
        return BAD(f, "%s: %llu in chains, %llu live", table_names[t], (unsigned long long)seen,
                   (unsigned long long)h->live);
    return 0;
}

static int check_table(const struct store *st, int t, struct finding *f)
{
    const struct table_head *h = &st->head->table[t];
    if (h->used > table_capacity(st, (enum store_table_id)t) || h->live > h->used)
        return BAD(f, "%s: %llu records", table_names[t], (unsigned long long)h->used);
    const uint64_t free = free_length(st, t, h->free, h->used);
    const uint64_t limbo = free_length(st, t, h->limbo, h->used);
    if (free == UINT64_MAX || limbo == UINT64_MAX)
        return BAD(f, "%s: free list is broken", table_names[t]);
    if (h->used && h->live + free + limbo != h->used - 1)
        return BAD(f, "%s: %llu live and %llu free of %llu", table_names[t],
                   (unsigned long long)h->live, (unsigned long long)(free + limbo),
                   (unsigned long long)h->used);
    return check_chains(st, t, f);
}

/* Whether [at, at + bytes) lies in the part of the heap that is handed out. */
static bool in_heap(const struct store *st, uint64_t at, uint64_t bytes)
{
    const struct section_place *p = &st->head->section[SECTION_HEAP];
    const uint64_t end = p->offset + st->head->heap_used;
    return at % WORD == 0 && at >= p->offset && at <= end && bytes <= end - at;
}

static bool text_ok(const struct store *st, uint64_t at)
{
    if (!in_heap(st, at, WORD))
        return false;
    const uint64_t size = TEXT_BYTES(store_get(st, at));
    return size <= TEXT_MAX && in_heap(st, at, WORD + size);
}

/* A label text, and its keys. */
static bool labels_ok(const struct store *st, uint64_t at)
{
    return text_ok(st, at) && (!label_text_keys(st, at) || text_ok(st, label_text_keys(st, at)));
}

/* ---- keys that label texts have in common ---- */

/* Where a text of keys is noted, or may be. */
static struct keys *keys_find(const struct finding *f, uint64_t place)
{
    uint64_t i = place * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    while (f->keys[i & (f->room - 1)].place && f->keys[i & (f->room - 1)].place != place)
        i++;
    return &f->keys[i & (f->room - 1)];
}

static bool keys_grow(struct finding *f)
{
    struct finding more = *f;
    more.room = f->room ? 2 * f->room : KEYS_LEAST;
    more.keys = calloc(more.room, sizeof *more.keys);
    if (!more.keys)
        return false;
    for (uint64_t i = 0; i < f->room; i++)
        if (f->keys[i].place)
            *keys_find(&more, f->keys[i].place) = f->keys[i];
    free(f->keys);
    *f = more;
    return true;
}

static int note_keys(struct finding *f, uint64_t place)
{
    if (2 * f->nkeys >= f->room && !keys_grow(f)) {
        snprintf(f->why, f->size, "out of memory");
        return -ERR_NOMEM;
    }
    struct keys *k = keys_find(f, place);
    f->nkeys += k->place == 0;
    k->place = place;
    k->texts++;
    return 0;
}

/* Keys of too few would be handed out again under those who have them. */
static int check_keys(const struct store *st, struct finding *f)
{
    for (uint64_t i = 0; i < f->room; i++) {
        const struct keys *k = &f->keys[i];
        const uint64_t users = k->place ? label_text_users(st, k->place) : 0;
        if (users != k->texts)
            return BAD(f, "keys at %llu: of %llu label texts, not %llu",
                       (unsigned long long)k->place, (unsigned long long)k->texts,
                       (unsigned long long)users);
    }
    return 0;
}

/* What an observation follows without a look. */
static bool bounds_ok(const struct store *st, const struct metric_view *m, uint64_t cells)
{
    const struct metric_rec *r = table_get(st, TABLE_METRICS, m->id);
    return m->kind != METRIC_HISTOGRAM || store_get(st, cells + CELL_BOUNDS * WORD) ==
                                              ((uint64_t)m->nbounds << CELL_BOUNDS_SHIFT | r->def);
}

static int check_heap(const struct store *st, struct finding *f)
{
    const struct store_head *h = st->head;
    uint64_t n = 0;
    if (h->heap_used > h->section[SECTION_HEAP].size || h->heap_live > h->heap_used)
        return BAD(f, "heap: %llu bytes used", (unsigned long long)h->heap_used);
    if (h->run > h->run_end || (h->run_end && !in_heap(st, h->run, h->run_end - h->run)))
        return BAD(f, "heap: its run of single words lies outside");
    for (int c = 0; c < 2 * HEAP_CLASSES; c++) {
        uint64_t at = c < HEAP_CLASSES ? h->heap_free[c] : h->heap_limbo[c - HEAP_CLASSES];
        for (; at; at = store_get(st, at))
            if (!in_heap(st, at, WORD) || ++n > h->heap_used / WORD)
                return BAD(f, "heap: free list of class %d is broken", c % HEAP_CLASSES);
    }
    return 0;
}

static int check_metric(const struct store *st, uint32_t id, struct finding *f)
{
    struct metric_view m;
    struct series_view s;
    if (!table_get(st, TABLE_METRICS, id))
        return 0;
    if (!metric_read(st, id, &m) || m.family.n == 0)
        return BAD(f, "metric %u cannot be read", id);
    uint64_t n = 0;
    for (uint32_t i = m.first; i; i = s.next)
        if (++n > m.nseries || !series_read(st, i, &s) || s.metric != id)
            return BAD(f, "metric %u: its list of series is broken", id);
    return n == m.nseries
               ? 0
               : BAD(f, "metric %u: %llu series of %u", id, (unsigned long long)n, m.nseries);
}

/* A chain of equal pieces of the heap that ends: each is counted, and there are no
 * more of all chains together than fit into the heap, so that a loop is found. */
static bool chain_ok(const struct store *st, uint64_t at, uint64_t words, uint64_t *pieces)
{
    for (; at; at = store_get(st, at))
        if (!in_heap(st, at, words * WORD) || ++*pieces > st->head->heap_used / (words * WORD))
            return false;
    return true;
}

static bool sketch_ok(const struct store *st, uint64_t sketch, uint64_t *pages)
{
    return in_heap(st, sketch, SKETCH_WORDS * WORD) &&
           chain_ok(st, store_get(st, sketch + SKETCH_NOW * WORD), PAGE_WORDS, pages) &&
           chain_ok(st, store_get(st, sketch + SKETCH_BEFORE * WORD), PAGE_WORDS, pages);
}

/* What hangs on the cells: sketch pages, contributions. */
static int check_chained(const struct store *st, const struct metric_view *m,
                         const struct series_view *s, struct finding *f)
{
    const uint64_t sketch = series_sketch(st, s->id);
    if ((m->kind == METRIC_SUMMARY || m->flags & METRIC_QUANTILES) &&
        !sketch_ok(st, sketch, &f->pages))
        return BAD(f, "series %u: its quantiles are broken", s->id);
    if (m->kind == METRIC_GAUGE && m->join != JOIN_LAST &&
        !chain_ok(st, store_get(st, s->cells + CELL_PARTS * WORD), PART_WORDS, &f->parts))
        return BAD(f, "series %u: its contributions are broken", s->id);
    return 0;
}

static int check_series(const struct store *st, uint32_t id, struct finding *f)
{
    const struct series_rec *r = table_get(st, TABLE_SERIES, id);
    struct series_view s;
    struct metric_view m;
    if (!r)
        return 0;
    if (!series_read(st, id, &s) || !labels_ok(st, r->labels) || !metric_read(st, s.metric, &m))
        return BAD(f, "series %u cannot be read", id);
    if (s.flags & SERIES_GROUP)
        return 0;
    if (!in_heap(st, s.cells, cell_words(m.kind, m.flags, m.nbounds) * WORD) ||
        !bounds_ok(st, &m, s.cells))
        return BAD(f, "series %u: its cells are not its own", id);
    if ((uint32_t)r->state && !table_get(st, TABLE_SERIES, (uint32_t)r->state))
        return BAD(f, "series %u: its group is gone", id);
    const uint64_t keys = label_text_keys(st, r->labels);
    const int noted = keys ? note_keys(f, keys) : 0;
    return noted < 0 ? noted : check_chained(st, &m, &s, f);
}

static int check_ring(const struct store *st, enum store_ring_id ring, struct finding *f)
{
    const struct ring_head *h = &st->head->ring[ring];
    const struct section_place *p = &st->head->section[ring_section(ring)];
    if (h->tail > h->head || h->head - h->tail > p->size || h->tail_seq > h->head_seq)
        return BAD(f, "ring %d: tail %llu, head %llu", ring, (unsigned long long)h->tail,
                   (unsigned long long)h->head);
    uint64_t seq = h->tail_seq;
    for (uint64_t pos = h->tail; pos < h->head;) {
        const struct ring_record *r = store_at(st, p->offset + pos % p->size, 2 * sizeof(uint64_t));
        if (!r || r->size < 16 || r->size % 16 || r->size > h->head - pos ||
            r->size > p->size - pos % p->size || (r->kind && r->seq != ++seq))
            return BAD(f, "ring %d: record at %llu is broken", ring, (unsigned long long)pos);
        pos += r->size;
    }
    return seq == h->head_seq ? 0
                              : BAD(f, "ring %d: %llu records of %llu", ring,
                                    (unsigned long long)seq, (unsigned long long)h->head_seq);
}

static int check_streams(const struct store *st, struct finding *f)
{
    for (uint32_t i = 1; i < table_end(st, TABLE_STREAMS); i++) {
        const struct stream_rec *r = table_get(st, TABLE_STREAMS, i);
        if (!r)
            continue;
        const struct series_rec *s = table_get(st, TABLE_SERIES, (uint32_t)r->what);
        const uint64_t words = r->what >> 48;
        if (!s || s->metric >> 48 & SERIES_GROUP)
            return BAD(f, "stream %u: its series is gone", i);
        if (words == 0 || words > STREAM_WORDS_MAX || !in_heap(st, r->values, words * WORD))
            return BAD(f, "stream %u has no values", i);
    }
    return 0;
}

static bool rings_ok(const struct store *st, uint64_t at)
{
    int n = 0;
    for (; at && n < RING_MARKS_MAX && in_heap(st, at, sizeof(struct ring_mark)); n++)
        at = ring_mark_at(st, at)->next;
    return at == 0;
}

static int check_names(const struct store *st, struct finding *f)
{
    for (uint32_t i = 1; i < table_end(st, TABLE_SESSIONS); i++) {
        const struct session_rec *r = table_get(st, TABLE_SESSIONS, i);
        if (r && !text_ok(st, r->names))
            return BAD(f, "session %u has no names", i);
        if (r && !rings_ok(st, r->rings))
            return BAD(f, "session %u: its rings lie outside of the heap", i);
    }
    for (uint32_t i = 1; i < table_end(st, TABLE_PARTS); i++) {
        const struct part_rec *r = table_get(st, TABLE_PARTS, i);
        if (r && (!text_ok(st, r->names) || (r->message && !text_ok(st, r->message))))
            return BAD(f, "component %u has no names", i);
    }
    return 0;
}

int store_check(const struct store *st, char *why, size_t why_size)
{
    struct finding f = {.why = why, .size = why_size};
    int r = check_heap(st, &f);
    for (int t = 0; t < TABLE_MAX && r == 0; t++)
        r = check_table(st, t, &f);
    for (uint32_t i = 1; i < table_end(st, TABLE_METRICS) && r == 0; i++)
        r = check_metric(st, i, &f);
    for (uint32_t i = 1; i < table_end(st, TABLE_SERIES) && r == 0; i++)
        r = check_series(st, i, &f);
    if (r == 0)
        r = check_keys(st, &f);
    free(f.keys);
    if (r == 0)
        r = check_names(st, &f);
    if (r == 0)
        r = check_streams(st, &f);
    for (int k = 0; k < RING_MAX && r == 0; k++)
        r = check_ring(st, (enum store_ring_id)k, &f);
    return r;
}
