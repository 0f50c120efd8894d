#include "store/copy.h"

#include <stdlib.h>
#include <string.h>

#include "store/budget.h"
#include "store/cells.h"
#include "store/migrate.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "store/sketch.h"
#include "store/space.h"
#include "store/stream.h"

enum { WORD = 8 };

/* The copying in hand. */
struct copying {
    struct store from; /* a reader; only its head, texts and cells are used as they are */
    struct store *to;
    struct store_head head; /* the old one's, as one of today */
    uint32_t *metric;       /* new index by old; 0: none */
    uint32_t *session;
    uint32_t *series;
    char *record; /* of a ring, RING_COPY bytes */
    struct when now;
};

/* ---- the old store ---- */

int store_identify(const void *mem, size_t size, struct store_identity *out)
{
    const struct store_head *h = mem;
    const int r = migrate_known(mem, size);
    if (r < 0)
        return r;
    memcpy(out->boot_id, h->boot_id, sizeof out->boot_id);
    out->store_id = h->store_id;
    out->created = h->created;
    return 0;
}

int store_rollback_old(void *old, size_t old_size)
{
    struct store_head head;
    const int r = migrate_known(old, old_size);
    if (r < 0)
        return r;
    migrate_head(old, &head);
    struct store from = {.base = old, .size = head.size, .head = &head};
    return store_rollback_at(&from, &head.section[SECTION_UNDO],
                             migrate_offset(old, MIGRATE_COMMIT));
}

static uint64_t record_size(const struct copying *c, enum store_table_id t)
{
    return migrate_record(c->head.version, t);
}

/* Record i as it lies there, of record_size() bytes; NULL when it is free. */
static const void *record_at(const struct copying *c, enum store_table_id t, uint32_t i)
{
    const uint64_t size = record_size(c, t);
    const struct section_place *p = &c->head.section[table_section((enum store_table_id)t)];
    if (i == 0 || size == 0 || i >= c->head.table[t].used || (i + 1) * size > p->size)
        return NULL;
    const struct record_head *r = store_at(&c->from, p->offset + i * size, size);
    return r && r->hash ? r : NULL;
}

/* Loads record i into `out`, which is a record of today, zero at the end. */
static bool load(const struct copying *c, enum store_table_id t, uint32_t i, void *out)
{
    const void *r = record_at(c, t, i);
    if (r)
        memcpy(out, r, record_size(c, t));
    return r != NULL;
}

/* The same for a series; its cells are where the values lie. */
static bool load_series(const struct copying *c, uint32_t i, struct series_rec *out)
{
    if (c->head.version > 3)
        return load(c, TABLE_SERIES, i, out);
    struct series_rec_v3 old = {0};
    if (!load(c, TABLE_SERIES, i, &old))
        return false;
    const uint64_t *touch = old.cells ? store_at(&c->from, old.cells, WORD) : NULL;
    *out = (struct series_rec){
        .metric = old.metric,
        .labels = old.labels,
        .cells = touch ? old.cells + WORD : 0,
        .created = old.created,
        .links = (uint32_t)old.next,
        .state = touch ? *touch << SERIES_HIGH_SHIFT : 0,
    };
    return true;
}

static struct str text_of(const struct copying *c, uint64_t at)
{
    const struct text_blob *b = store_at(&c->from, at, sizeof *b);
    if (!at || !b || TEXT_BYTES(b->size) > c->from.size - at - sizeof *b)
        return (struct str){0};
    return (struct str){b->text, TEXT_BYTES(b->size)};
}

/* A label text, and its keys. */
static struct str labels_of(const struct copying *c, uint64_t at, struct str *keys)
{
    const struct str whole = text_of(c, at);
    const uint64_t n = whole.p ? store_get(&c->from, at) >> 32 : 0;
    if (c->head.version > 3)
        *keys = text_of(c, n * WORD);
    if (c->head.version > 3 || n == 0 || n > whole.n)
        return whole;
    *keys = (struct str){whole.p + n, whole.n - n};
    return (struct str){whole.p, n};
}

static uint32_t used(const struct copying *c, enum store_table_id t)
{
    return (uint32_t)c->head.table[t].used;
}

/* ---- metrics ---- */

static int copy_metric(struct copying *c, uint32_t i)
{
    struct metric_view m;
    if (!metric_read(&c->from, i, &m))
        return table_get(&c->from, TABLE_METRICS, i) ? -ERR_DAMAGED : 0;
    struct metric_def def = {
        .name = m.name,
        .unit = m.unit,
        .help = m.help,
        .kind = m.kind,
        .type = m.type,
        .join = m.join,
        .flags = m.flags,
        .nbounds = m.nbounds,
    };
    memcpy(def.bounds, m.bounds, m.nbounds * sizeof *def.bounds);
    const int r = m.domain_known && !m.own ? metric_define_by(c->to, &def, m.domain_known - 1,
                                                              BUDGET_NONE, &c->metric[i])
                                           : metric_define(c->to, &def, m.own, &c->metric[i]);
    store_commit(c->to);
    return r;
}

/* ---- sessions ---- */

static struct str part(struct str *names)
{
    const char *nul = names->n ? memchr(names->p, '\0', names->n) : NULL;
    const struct str head = {names->p, nul ? (size_t)(nul - names->p) : names->n};
    *names = nul ? (struct str){nul + 1, names->n - head.n - 1} : (struct str){0};
    return head;
}

/* How far its shared rings are. Without that what lies in them would count twice. */
static int copy_rings(struct copying *c, uint64_t at, uint32_t session)
{
    for (int n = 0; at && n < RING_MARKS_MAX; n++) {
        if (!store_at(&c->from, at, sizeof(struct ring_mark)))
            return -ERR_DAMAGED;
        const struct ring_mark *m = ring_mark_at(&c->from, at);
        if (!ring_mark_make(c->to, session, m, RING_MARKS_MAX))
            return -ERR_FULL;
        at = m->next;
    }
    return 0;
}

static int copy_session(struct copying *c, uint32_t i)
{
    struct session_rec old = {0};
    if (!load(c, TABLE_SESSIONS, i, &old))
        return 0;
    if (c->to->head->table[TABLE_SESSIONS].live + 1 >= table_capacity(c->to, TABLE_SESSIONS))
        return -ERR_FULL; /* a session for another would be one forgotten without a word */
    struct str names = text_of(c, old.names);
    const struct str service = part(&names), instance = part(&names);
    const struct session_ask ask = {
        .id = (const uint8_t *)old.id,
        .uid = (uint32_t)old.who,
        .domain = (unsigned)(old.who >> WHO_DOMAIN_SHIFT & 0xffff),
        .service = service,
        .instance = instance,
        .agent = names,
        .applied = old.applied,
        .now = c->now,
    };
    c->session[i] = session_make(c->to, &ask);
    if (!c->session[i])
        return -ERR_FULL;
    struct session_rec *r = session_at(c->to, c->session[i]);
    STORE_SET(c->to, r->who, old.who);
    STORE_SET(c->to, r->items, old.items);
    STORE_SET(c->to, r->ended, old.ended ? old.ended : c->now.mono);
    for (int k = 0; k < 4; k++)
        STORE_SET(c->to, r->lost[k], old.lost[k]);
    if (old.since)
        STORE_SET(c->to, r->since, old.since);
    const int rings = copy_rings(c, old.rings, c->session[i]);
    store_commit(c->to);
    return rings;
}

/* ---- cells ---- */

static uint64_t copy_pages(struct copying *c, uint64_t page)
{
    uint64_t first = 0;
    for (int n = 0; page && n < SKETCH_PAGES; n++) {
        if (!store_at(&c->from, page, PAGE_WORDS * WORD))
            break;
        const uint64_t to = sketch_page(c->to);
        if (!to)
            break; /* quantiles of the last minute; not worth the store */
        memcpy(c->to->base + to + WORD, c->from.base + page + WORD, (PAGE_WORDS - 1) * WORD);
        store_set(c->to, to, first);
        first = to;
        page = store_get(&c->from, page);
    }
    return first;
}

static void copy_sketch(struct copying *c, uint64_t from, uint64_t to)
{
    if (!store_at(&c->from, from, SKETCH_WORDS * WORD))
        return;
    const uint64_t now = copy_pages(c, store_get(&c->from, from + SKETCH_NOW * WORD));
    const uint64_t before = copy_pages(c, store_get(&c->from, from + SKETCH_BEFORE * WORD));
    store_set(c->to, to, store_get(&c->from, from));
    store_set(c->to, to + SKETCH_NOW * WORD, now);
    store_set(c->to, to + SKETCH_BEFORE * WORD, before);
}

static int copy_parts(struct copying *c, uint64_t part_at, uint32_t series)
{
    for (uint32_t n = 0; part_at && n < SERIES_PARTS_MAX; n++) {
        if (!store_at(&c->from, part_at, PART_WORDS * WORD))
            return -ERR_DAMAGED;
        const uint32_t old = (uint32_t)(store_get(&c->from, part_at + PART_OWNER * WORD) >> 32);
        const uint32_t session = old < used(c, TABLE_SESSIONS) ? c->session[old] : 0;
        uint64_t cells = 0;
        if (session)
            (void)series_target(c->to, series, session, &cells);
        if (session && !cells)
            return -ERR_FULL;
        if (session) {
            const uint64_t touch = store_get(&c->from, part_at + PART_TOUCH * WORD);
            store_set(c->to, cells + PART_VALUE * WORD,
                      store_get(&c->from, part_at + PART_VALUE * WORD));
            store_set(c->to, cells + PART_TOUCH * WORD, (uint64_t)series << 32 | (uint32_t)touch);
        }
        part_at = store_get(&c->from, part_at);
        if (!store_has_room(c->to))
            store_commit(c->to); /* killed on the way, the copying begins again */
    }
    return 0;
}

/* Word by word, but for what points elsewhere. */
static int copy_cells(struct copying *c, const struct metric_view *m, uint64_t from, uint64_t to,
                      uint32_t series)
{
    const uint64_t words = cell_words(m->kind, m->flags, m->nbounds);
    const bool joined = m->kind == METRIC_GAUGE && m->join != JOIN_LAST;
    uint64_t sketch = m->kind == METRIC_SUMMARY ? CELL_SKETCH : 0;
    if (m->flags & METRIC_QUANTILES)
        sketch = words - 1;
    if (!from || !store_at(&c->from, from, words * WORD))
        return -ERR_DAMAGED;
    if (joined)
        return copy_parts(c, store_get(&c->from, from + CELL_PARTS * WORD), series);
    for (uint64_t w = CELL_VALUE; w < words; w++)
        if ((w != sketch || !sketch) && !(m->kind == METRIC_HISTOGRAM && w == CELL_BOUNDS))
            store_set(c->to, to + w * WORD, store_get(&c->from, from + w * WORD));
    if (sketch)
        copy_sketch(c, store_get(&c->from, from + sketch * WORD),
                    store_get(c->to, to + sketch * WORD));
    return 0;
}

/* ---- series ---- */

/* The group's text is the service's label alone, as naming it again would give. */
static struct str group_text(struct str labels, char *to, size_t size)
{
    const struct str value = labels_get(labels, STR("service_name"));
    const size_t n = sizeof "service_name=\"\"" - 1 + value.n;
    if (!value.p || n >= size)
        return (struct str){0};
    memcpy(to, "service_name=\"", 14);
    memcpy(to + 14, value.p, value.n);
    to[n - 1] = '"';
    return (struct str){to, n};
}

static int copy_series(struct copying *c, const struct metric_view *m, const struct series_rec *old,
                       uint32_t *out)
{
    char group[LIMIT_LABEL_BYTES];
    const unsigned flags = (unsigned)(old->metric >> 48);
    struct str keys = {0};
    const struct str labels = labels_of(c, old->labels, &keys);
    struct series_ask ask = {
        .metric = c->metric[m->id],
        .labels = labels,
        .keys = keys,
        .group = group_text(labels, group, sizeof group),
        .domain = (unsigned)(old->metric >> 32 & 0xffff),
        .flags = flags & (SERIES_PINNED | SERIES_OVERFLOW),
        .budget = BUDGET_NONE,
        .now = {.mono = c->now.mono, .wall = old->created},
    };
    if (ask.group.n && !ask.flags)
        ask.cardinality = UINT32_MAX;
    struct series_view s;
    uint32_t i;
    const int r = series_make(c->to, &ask, &i);
    if (r < 0 || !series_read(c->to, i, &s))
        return -ERR_FULL;
    const int bad = copy_cells(c, m, old->cells, s.cells, i);
    series_set_touched(c->to, i, (uint32_t)(old->state >> SERIES_HIGH_SHIFT));
    store_commit(c->to);
    *out = i;
    return bad;
}

static int copy_metric_series(struct copying *c, uint32_t metric)
{
    struct metric_view m;
    struct series_rec old = {0};
    if (!c->metric[metric] || !metric_read(&c->from, metric, &m))
        return 0;
    uint32_t n = 0;
    for (uint32_t i = m.first; i; i = (uint32_t)old.links) {
        if (!load_series(c, i, &old) || ++n > used(c, TABLE_SERIES))
            return -ERR_DAMAGED;
        if (!(old.metric >> 48 & SERIES_LIVE))
            continue; /* dormant: no value, and no connection any more */
        const int r = copy_series(c, &m, &old, &c->series[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- streams ---- */

/* A stream of a series that is not copied had no value to go on from either. */
static int copy_stream(struct copying *c, uint32_t i)
{
    struct stream_rec old = {0};
    if (!load(c, TABLE_STREAMS, i, &old))
        return 0;
    const uint32_t was = (uint32_t)old.what,
                   series = was < used(c, TABLE_SERIES) ? c->series[was] : 0;
    const unsigned words = (unsigned)(old.what >> 48), domain = (unsigned)(old.what >> 32 & 0xffff);
    const uint64_t *values = store_at(&c->from, old.values, words * WORD);
    if (!series)
        return 0;
    if (words == 0 || words > STREAM_WORDS_MAX || !values)
        return -ERR_DAMAGED;
    const uint32_t k = stream_make(c->to, old.hash, series, domain, words);
    if (!k)
        return -ERR_FULL;
    stream_set(c->to, k, old.start, old.time, values, words);
    stream_set_touched(c->to, k, old.touched);
    store_commit(c->to);
    return 0;
}

/* ---- components and rings ---- */

static int copy_component(struct copying *c, uint32_t i)
{
    struct part_rec old = {0};
    if (!load(c, TABLE_PARTS, i, &old))
        return 0;
    const uint32_t k = table_alloc(c->to, TABLE_PARTS);
    if (!k)
        return -ERR_FULL;
    struct part_rec *r =
        (struct part_rec *)(void *)store_word(c->to, table_offset(c->to, TABLE_PARTS, k));
    const struct str none = {0}, message = text_of(c, old.message), names = text_of(c, old.names);
    const uint64_t hash = part_hash(c->to, (unsigned)(old.state >> 32 & 0xffff), names);
    const struct record_head head = r->head;
    *r = old;
    r->head = head;
    r->names = text_new(c->to, names, none, none);
    r->message = message.n ? text_new(c->to, message, none, none) : 0;
    if (!r->names || !table_insert(c->to, TABLE_PARTS, k, hash))
        return -ERR_FULL;
    store_commit(c->to);
    return 0;
}

/* A consumer that had read up to this record goes on from here. */
static void place_cursors(struct copying *c, enum store_ring_id ring, uint64_t next_seq)
{
    struct ring_head *h = &c->to->head->ring[ring];
    for (int k = 0; k < CONSUMER_ROOM; k++)
        if (h->consumer[k].begun + h->consumer[k].read + h->consumer[k].overrun + 1 >= next_seq)
            STORE_SET(c->to, h->consumer[k].cursor, h->head);
}

/* The ledger as it was; what the old ring had dropped is overrun. */
static void copy_ledger(struct copying *c, const struct ring_head *old, struct ring_head *h)
{
    STORE_SET(c->to, h->tail_seq, old->tail_seq);
    STORE_SET(c->to, h->head_seq, old->tail_seq);
    for (int k = 0; k < CONSUMER_ROOM; k++) {
        struct ring_consumer_head *to = &h->consumer[k];
        const uint64_t *from = &old->consumer[k].cursor;
        for (size_t w = 1; w < sizeof *to / WORD; w++)
            store_set(c->to, store_off(c->to, to) + w * WORD, from[w]);
        if (to->begun + to->read + to->overrun < old->tail_seq)
            STORE_SET(c->to, to->overrun, old->tail_seq - to->begun - to->read);
    }
    store_commit(c->to);
}

static int copy_record(struct copying *c, enum store_ring_id ring, const struct ring_view *v)
{
    const struct ring_item item = {
        .kind = v->kind,
        .domain = v->domain,
        .session = v->session < used(c, TABLE_SESSIONS) ? c->session[v->session] : 0,
        .service = v->service,
        .body = v->body,
        .received = v->received,
    };
    ring_make_room(c->to, ring);
    place_cursors(c, ring, v->seq);
    const int r = ring_append(c->to, ring, &item);
    store_commit(c->to);
    return r;
}

/* A record that does not fit into the smaller ring: the ring begins behind it, so
 * that the numbers stay without a gap, and what lay before counts as overrun. */
static int drop_until(struct copying *c, enum store_ring_id ring, uint64_t seq)
{
    struct ring_head *h = &c->to->head->ring[ring];
    STORE_SET(c->to, h->tail, h->head);
    STORE_SET(c->to, h->tail_seq, seq);
    STORE_SET(c->to, h->head_seq, seq);
    store_commit(c->to);
    ring_count_all(c->to, ring);
    return 0;
}

/* Record by record, in order. */
static int copy_ring(struct copying *c, enum store_ring_id ring)
{
    const struct ring_head *old = &c->head.ring[ring];
    struct ring_head *h = &c->to->head->ring[ring];
    struct ring_view v;
    uint64_t pos = old->tail;
    int r = 0;
    copy_ledger(c, old, h);
    while (r == 0 && (r = ring_read(&c->from, ring, &pos, c->record, RING_COPY, &v)) == 1)
        r = v.body.n > ring_limit(c->to, ring) ? drop_until(c, ring, v.seq)
                                               : copy_record(c, ring, &v);
    place_cursors(c, ring, h->head_seq + 1);
    store_commit(c->to);
    return r;
}

/* ---- domains ---- */

static void copy_domains(struct copying *c)
{
    const struct section_place *p = &c->head.section[SECTION_DOMAINS];
    const struct section_place *to = &c->to->head->section[SECTION_DOMAINS];
    for (uint64_t w = 0; w < p->size / WORD && w < to->size / WORD; w++) {
        const uint64_t word = store_get(&c->from, p->offset + w * WORD);
        if (word)
            store_set(c->to, to->offset + w * WORD, word);
        if (!store_has_room(c->to))
            store_commit(c->to);
    }
    store_commit(c->to);
}

/* ---- the whole ---- */

static int each(struct copying *c, enum store_table_id t, int (*copy)(struct copying *, uint32_t))
{
    int r = 0;
    for (uint32_t i = 1; i < used(c, t) && r >= 0; i++)
        r = copy(c, i);
    return r;
}

static int copy_all(struct copying *c)
{
    struct store_head *h = c->to->head;
    STORE_SET(c->to, h->epoch, c->head.epoch);
    for (size_t w = 0; w < sizeof h->consumer / WORD; w++)
        store_set(c->to, store_off(c->to, h->consumer) + w * WORD, (&c->head.consumer[0][0])[w]);
    for (int t = 0; t < TIERS; t++)
        STORE_SET(c->to, h->tier_rate[t], c->head.tier_rate[t]);
    for (int w = 0; w < STREAM_PARTS; w++)
        STORE_SET(c->to, h->stream_horizon[w], c->head.stream_horizon[w]);
    STORE_SET(c->to, h->unread, c->head.unread);
    for (int w = 0; w < STORE_SPARE; w++)
        STORE_SET(c->to, h->spare[w], c->head.spare[w]);
    store_commit(c->to);
    h->starts = c->head.starts;
    h->rollbacks = c->head.rollbacks;
    memcpy(h->start_at, c->head.start_at, sizeof h->start_at);
    copy_domains(c);
    int r = each(c, TABLE_METRICS, copy_metric);
    if (r == 0)
        r = each(c, TABLE_SESSIONS, copy_session);
    if (r == 0)
        r = each(c, TABLE_METRICS, copy_metric_series);
    if (r == 0)
        r = each(c, TABLE_PARTS, copy_component);
    if (r == 0 && record_size(c, TABLE_STREAMS))
        r = each(c, TABLE_STREAMS, copy_stream);
    for (int ring = 0; ring < RING_MAX && r == 0; ring++)
        r = copy_ring(c, (enum store_ring_id)ring);
    return r;
}

static bool tables_fit(const struct copying *c)
{
    for (int t = 0; t < TABLE_MAX; t++) {
        const uint64_t size = record_size(c, (enum store_table_id)t);
        if (size && c->head.table[t].used >
                        c->head.section[table_section((enum store_table_id)t)].size / size)
            return false;
    }
    return true;
}

int store_copy(const void *old, size_t old_size, struct store *to, struct when now)
{
    int r = migrate_known(old, old_size);
    if (r < 0)
        return r;
    struct copying c = {.to = to, .now = now};
    migrate_head(old, &c.head);
    c.from = (struct store){.base = (uint8_t *)(uintptr_t)old, .size = c.head.size};
    c.from.head = &c.head;
    if (!tables_fit(&c))
        return -ERR_DAMAGED;
    c.metric = calloc(used(&c, TABLE_METRICS) + 1, sizeof *c.metric);
    c.session = calloc(used(&c, TABLE_SESSIONS) + 1, sizeof *c.session);
    c.series = calloc(used(&c, TABLE_SERIES) + 1, sizeof *c.series);
    c.record = aligned_alloc(16, RING_COPY);
    r = c.metric && c.session && c.series && c.record ? copy_all(&c) : -ERR_NOMEM;
    store_commit(to);
    free(c.metric);
    free(c.session);
    free(c.series);
    free(c.record);
    return r;
}
