#include "spool/spool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "spool/crc32c.h"
#include "spool/state.h"

/* ---- opening ---- */

int spool_open(struct spool **out, const struct spool_io *io, const struct spool_options *o,
               struct when now)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return -ERR_NOMEM;
    s->io = *io;
    s->o = *o;
    if (s->o.segment > s->o.bytes / SPOOL_SHARE)
        s->o.segment = s->o.bytes / SPOOL_SHARE;
    if (s->o.segment < SEGMENT_DATA + SEGMENT_BLOCK)
        s->o.segment = SEGMENT_DATA + SEGMENT_BLOCK;
    s->wall = now.wall;
    s->file = s->read_file = -1;
    *out = s;
    const int r = spool_recover(s);
    if (r != -ERR_NOMEM)
        return 0;
    spool_close(s);
    *out = NULL;
    return r;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (s->file >= 0)
        s->io.close(s->io.arg, s->file);
    if (s->read_file >= 0)
        s->io.close(s->io.arg, s->read_file);
    free(s->segments);
    free(s->payload);
    free(s);
}

/* A disk that failed when the spool was opened is asked again by every call. */
static int ready(struct spool *s)
{
    if (s->payload_room > SPOOL_SMALL) {
        free(s->payload);
        s->payload = NULL;
        s->payload_room = 0;
    }
    return s->recovered ? 0 : spool_recover(s);
}

/* ---- the newest segment ---- */

static int write_heads(struct spool *s, int file, const struct segment_head *h)
{
    uint8_t bytes[SEGMENT_BLOCK];
    segment_block_write(bytes, h);
    for (unsigned i = 0; i < SEGMENT_HEADS; i++) {
        const uint64_t at = (uint64_t)SEGMENT_BLOCK * i;
        const int r = s->io.write(s->io.arg, file, at, bytes, sizeof bytes);
        if (r < 0)
            return r;
    }
    const int r = s->io.sync(s->io.arg, file);
    return r < 0 ? r : s->io.sync_dir(s->io.arg);
}

static uint64_t make_salt(const struct spool *s, uint64_t name)
{
    const uint64_t from[] = {s->o.salt, name, s->wall};
    return hash_bytes(from, sizeof from, 0);
}

int spool_reserve(struct spool *s)
{
    if (s->n < s->room)
        return 0;
    const size_t room = s->room ? 2 * s->room : 16;
    struct segment *more = realloc(s->segments, room * sizeof *more);
    if (!more)
        return -ERR_NOMEM;
    s->segments = more;
    s->room = room;
    return 0;
}

static uint64_t segment_size(const struct spool *s, uint64_t record)
{
    return SEGMENT_DATA + record > s->o.segment ? SEGMENT_DATA + record : s->o.segment;
}

/* The one before is done with: what it does not use goes back to the disk. */
static void retire(struct spool *s)
{
    struct segment *g = spool_newest(s);
    if (s->file < 0)
        return;
    if (!g->damaged && g->size > g->used && s->io.cut(s->io.arg, s->file, g->used) == 0)
        g->size = g->used;
    s->io.close(s->io.arg, s->file);
    s->file = -1;
    s->writing = false;
}

static void skip_numbers(struct spool *s, uint64_t to)
{
    if (s->kept.seq == s->next.seq)
        s->kept.seq = to;
    s->next.seq = to;
}

int spool_start_segment(struct spool *s, uint64_t record, struct point mark)
{
    char name[SPOOL_NAME];
    struct segment g = {.size = segment_size(s, record), .used = SEGMENT_DATA};
    int file;
    int r = spool_reserve(s);
    if (r < 0)
        return r;
    /* No two begin at the same number: a number then tells which of two comes later. */
    if (s->n && s->next.seq <= spool_newest(s)->head.first.seq)
        skip_numbers(s, spool_newest(s)->head.first.seq + 1);
    g.name = s->next_name > s->next.seq ? s->next_name : s->next.seq;
    s->next_name = g.name + 1;
    g.head = (struct segment_head){.salt = make_salt(s, g.name),
                                   .first = s->next,
                                   .kept = s->kept,
                                   .sure = spool_sure(s),
                                   .mark = mark,
                                   .durable = spool_sure(s)};
    g.low = g.end = s->next.seq;
    g.tail = SEGMENT_DATA;
    spool_name(name, g.name, false);
    r = s->io.create(s->io.arg, name, g.size, &file);
    if (r == 0 && (r = write_heads(s, file, &g.head)) < 0) {
        s->io.close(s->io.arg, file);
        s->writing = false; /* should it come back, it says where the one before ends */
        skip_numbers(s, s->next.seq + 1);
    }
    if (r < 0) {
        (void)s->io.remove(s->io.arg, name);
        return r;
    }
    retire(s);
    s->segments[s->n++] = g;
    s->file = file;
    s->writing = true;
    s->kept_used = SEGMENT_DATA;
    s->sure.seq = UINT64_MAX;
    return 0;
}

void spool_abandon(struct spool *s)
{
    struct segment *g = spool_newest(s);
    const uint64_t from = s->mark.seq > s->kept.seq ? s->mark.records : s->kept.records;
    const uint64_t from_items = s->mark.seq > s->kept.seq ? s->mark.items : s->kept.items;
    if (s->writing && s->next.records > from) {
        g->records -= s->next.records - from;
        g->items -= s->next.items - from_items;
        g->used = s->kept_used;
        g->end = s->kept.seq > g->low ? s->kept.seq : g->low;
        s->next.records = from;
        s->next.items = from_items;
        s->lost = true;
    }
    if (!g->damaged)
        (void)s->io.cut(s->io.arg, s->file, g->used);
    s->io.close(s->io.arg, s->file);
    s->file = -1;
    s->writing = false;
}

static int sync_newest(struct spool *s)
{
    if (!s->writing || s->kept.seq == s->next.seq)
        return 0;
    const int r = s->io.sync(s->io.arg, s->file);
    if (r < 0) {
        spool_abandon(s);
        return r;
    }
    s->kept = s->next;
    s->kept_used = spool_newest(s)->used;
    return 0;
}

int spool_sync(struct spool *s)
{
    int r = ready(s);
    if (r == 0)
        r = sync_newest(s);
    if (r == 0 && s->lost)
        r = -ERR_IO;
    s->lost = false;
    return r;
}

/* ---- bounds ---- */

/* The oldest segment goes, as often as needed. The newest one stays. */
static int make_room(struct spool *s, uint64_t size)
{
    while (s->n > 1 && spool_bytes(s) + size > s->o.bytes) {
        const size_t before = s->n;
        const uint64_t end = s->segments[1].head.first.seq;
        const int r = spool_drop(s, end, SPOOL_BY_SIZE);
        if (r < 0)
            return r;
        spool_reap(s);
        if (s->n >= before)
            return 0; /* it cannot be removed now */
    }
    return 0;
}

static int next_segment(struct spool *s, uint64_t record)
{
    int r = sync_newest(s);
    if (r < 0)
        return r;
    const uint64_t size = segment_size(s, record);
    if (s->file >= 0) {
        r = make_room(s, size);
        struct segment *g = spool_newest(s);
        if (r == 0 && s->n == 1 && g->size + size > s->o.bytes) {
            r = spool_drop(s, s->next.seq, SPOOL_BY_SIZE);
            spool_reap(s);
        }
    }
    if (r < 0)
        return r;
    r = spool_start_segment(s, record, s->mark);
    if (r < 0)
        return r;
    spool_reap(s);
    return make_room(s, 0);
}

/* ---- records ---- */

/* The payload first: what has a head has had its payload written. */
static int write_record(struct spool *s, const struct record_head *h, const void *payload)
{
    uint8_t bytes[RECORD_HEAD];
    const uint64_t at = spool_newest(s)->used;
    record_head_write(bytes, h);
    const int r = s->io.write(s->io.arg, s->file, at + RECORD_HEAD, payload, h->length);
    return r < 0 ? r : s->io.write(s->io.arg, s->file, at, bytes, sizeof bytes);
}

static void appended(struct spool *s, const struct record_head *h)
{
    struct segment *g = spool_newest(s);
    if (s->oldest_seq == s->next.seq)
        s->oldest_written = h->written;
    g->used += record_size(h->length);
    g->records++;
    g->items += h->items;
    s->next.seq++;
    s->next.records++;
    s->next.items += h->items;
    g->end = s->next.seq;
}

int spool_append(struct spool *s, unsigned signal, uint32_t items, struct str payload,
                 struct when now, uint64_t *seq)
{
    if (payload.n > UINT32_MAX - SEGMENT_BLOCK ||
        record_size(payload.n) + 2 * SEGMENT_DATA > s->o.bytes)
        return -ERR_RANGE;
    s->wall = now.wall;
    int r = ready(s);
    if (r < 0)
        return r;
    const uint64_t size = record_size(payload.n);
    if (!s->writing || spool_newest(s)->used + size > spool_newest(s)->size)
        r = next_segment(s, size);
    if (r < 0)
        return r;
    const struct record_head h = {
        .salt = spool_newest(s)->head.salt,
        .at = s->next,
        .kept = s->kept,
        .written = now.wall,
        .length = (uint32_t)payload.n,
        .items = items,
        .payload_sum = crc32c(0, payload.p, payload.n),
        .signal = (uint8_t)signal,
    };
    r = write_record(s, &h, payload.p);
    if (r < 0)
        return r;
    *seq = h.at.seq;
    appended(s, &h);
    return 0;
}

/* ---- reading ---- */

/* A record that was kept and cannot be read any more. */
static void note_damage(struct spool *s, struct segment *g, const struct record_head *h)
{
    spool_note_bad(s, h);
    s->dropped_records[SPOOL_DAMAGED]++;
    s->dropped_items[SPOOL_DAMAGED] += h->items;
    g->records -= g->records > 0;
    g->items -= h->items < g->items ? h->items : g->items;
    g->damaged = true;
}

static void give(struct spool *s, const struct segment *g, const struct scan *c,
                 struct spool_record *out)
{
    *out = (struct spool_record){
        .seq = c->h.at.seq,
        .written = c->h.written,
        .items = c->h.items,
        .signal = c->h.signal,
        .payload = {s->payload, c->h.length},
    };
    s->tries = 0;
    s->cursor_name = g->name;
    s->cursor_seq = c->h.at.seq;
    s->cursor_at = c->found;
}

/* Whether to try again later; what fails again and again is as good as damaged. */
static bool patient(struct spool *s, uint64_t seq)
{
    if (s->stuck != seq)
        s->tries = 0;
    s->stuck = seq;
    return ++s->tries < SPOOL_TRIES;
}

static int read_segment(struct spool *s, struct segment *g, uint64_t seq, struct spool_record *out)
{
    struct scan c;
    const bool near = s->cursor_name == g->name && s->cursor_seq <= seq && s->cursor_at >= g->tail;
    int r = scan_begin(&c, s, g, near ? s->cursor_at : g->tail);
    while (r >= 0 && (r = scan_next(&c)) > 0) {
        if (c.h.at.seq < seq || c.h.at.seq < g->low || spool_known_bad(s, c.h.at.seq))
            continue;
        if (c.h.at.seq >= g->end)
            return 0;
        r = scan_payload(&c);
        if (r > 0) {
            give(s, g, &c, out);
            return 1;
        }
        if (r == -ERR_NOMEM || (r < 0 && patient(s, c.h.at.seq)))
            return r;
        note_damage(s, g, &c.h);
    }
    return r;
}

/* A segment whose records cannot even be found any more. */
static void give_up(struct spool *s, struct segment *g)
{
    s->dropped_records[SPOOL_DAMAGED] += g->records;
    s->dropped_items[SPOOL_DAMAGED] += g->items;
    g->records = g->items = 0;
    g->damaged = true;
}

int spool_read(struct spool *s, uint64_t seq, struct spool_record *out)
{
    int r = ready(s);
    if (r < 0)
        return r;
    if (seq < s->mark.seq)
        seq = s->mark.seq;
    for (size_t i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        if (g->records == 0 || g->end <= seq)
            continue;
        r = read_segment(s, g, seq, out);
        if (r > 0 || r == -ERR_NOMEM)
            return r;
        if (r < 0 && patient(s, g->low))
            return r;
        if (r < 0)
            give_up(s, g);
    }
    return 0;
}

int spool_done(struct spool *s, uint64_t seq)
{
    int r = ready(s);
    if (r == 0)
        r = spool_advance(s, seq);
    if (r < 0 || (s->n && (r = spool_settle(s)) < 0))
        return r;
    spool_reap(s);
    spool_shrink(s);
    return 0;
}

/* ---- age ---- */

/* The number behind the last of the records that have lived long enough. */
static uint64_t too_old(struct spool *s, uint64_t wall)
{
    struct scan c;
    uint64_t end = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct segment *g = &s->segments[i];
        if (g->records == 0 || scan_begin(&c, s, g, g->tail) < 0)
            continue;
        while (scan_next(&c) > 0) {
            if (c.h.at.seq < g->low || c.h.at.seq >= g->end || c.h.at.seq < s->mark.seq)
                continue;
            if (wall < c.h.written || wall - c.h.written <= s->o.age)
                return end;
            end = c.h.at.seq + 1;
        }
    }
    return end;
}

void spool_trim(struct spool *s, struct when now)
{
    s->wall = now.wall;
    if (ready(s) < 0)
        return;
    if (s->o.age && s->oldest_written && s->oldest_written < now.wall &&
        now.wall - s->oldest_written > s->o.age) {
        const uint64_t end = too_old(s, now.wall);
        if (end)
            (void)spool_drop(s, end, SPOOL_BY_AGE);
    }
    if (s->n)
        (void)spool_settle(s);
    (void)make_room(s, 0);
    spool_reap(s);
    spool_shrink(s);
}

void spool_stats(const struct spool *s, struct spool_stats *out)
{
    *out = (struct spool_stats){
        .first = s->oldest_seq,
        .next = s->next.seq,
        .bytes = spool_bytes(s),
        .oldest = s->oldest_written,
        .set_aside = s->naside,
    };
    for (size_t i = 0; i < s->n; i++) {
        out->records += s->segments[i].records;
        out->items += s->segments[i].items;
    }
    memcpy(out->dropped_items, s->dropped_items, sizeof out->dropped_items);
    memcpy(out->dropped_records, s->dropped_records, sizeof out->dropped_records);
}
