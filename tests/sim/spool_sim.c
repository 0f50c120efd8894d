/* What a spool promises, held against what it does: see spool/spool.h.
 *
 * Every record that was appended is known here by an id in its payload. Records that
 * a sync has acknowledged are owed until they are done or counted as dropped; others
 * may come back after a crash, or not. */
#include "spool_sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "disk.h"
#include "spool/segment.h"

enum { ENTRIES = 4096, PAYLOAD = 6000, RUN = 5 };

enum state {
    OPEN, /* appended, or perhaps appended: may come back */
    KEPT, /* a sync said so */
    GONE, /* done or dropped for sure: must not come back */
};

struct entry {
    enum state state;
    enum { NO, MAYBE, YES } live; /* whether it can be read in this session */
    uint64_t seq, written;
    uint32_t items, length;
    uint8_t signal;
    bool vague;   /* nothing was written since it was synced that says so */
    unsigned era; /* in which it was appended: it grows with each good sync */
};

struct history {
    struct rng rng;
    struct disk d;
    struct spool_io io;
    struct spool_options o;
    struct spool *s;
    struct when now;
    struct entry e[ENTRIES];
    unsigned n, unsynced; /* entries from `unsynced` on wait for a sync */
    unsigned era;
    uint64_t done;       /* all below was acknowledged as done */
    uint64_t asked;      /* all below may be */
    uint64_t cursor;     /* of the one that reads */
    unsigned flips;      /* bytes that were changed since the last start */
    bool violent;        /* files were lost, cut or doubled since */
    bool dropping;       /* a call that had reason to drop did not end well since */
    bool harmed;         /* ever: counters and marks need not be right any more */
    uint64_t dropped[2]; /* records by size and age that were accounted for, this session */
    uint64_t dropped_items[2];
    uint64_t damaged; /* records that the start counted so */
    char wrong[256];
    uint64_t crashes, kept, found_damaged, lost;
};

__attribute__((format(printf, 2, 3))) static bool fault(struct history *h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!h->wrong[0])
        vsnprintf(h->wrong, sizeof h->wrong, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- payloads ---- */

static void fill(uint8_t *to, uint32_t id, uint32_t length)
{
    struct rng r = {.state = id};
    for (uint32_t i = 0; i < length; i += 8) {
        uint8_t word[8];
        put_u64(word, rng_next(&r));
        memcpy(to + i, word, length - i < 8 ? length - i : 8);
    }
    put_u32(to, id);
}

static bool right(const struct history *h, const struct spool_record *r, uint32_t *id)
{
    uint8_t should[PAYLOAD];
    if (r->payload.n < 4 || r->payload.n > PAYLOAD)
        return false;
    *id = get_u32(r->payload.p);
    if (*id >= h->n)
        return false;
    const struct entry *e = &h->e[*id];
    fill(should, *id, e->length);
    return r->payload.n == e->length && memcmp(should, r->payload.p, e->length) == 0 &&
           r->items == e->items && r->signal == e->signal && r->written == e->written &&
           (e->seq == 0 || e->seq == r->seq);
}

/* ---- what has to hold ---- */

struct seen {
    bool *of;
    uint64_t records, items;
};

/* Everything that can be read, in order, is what was written. */
static bool read_all(struct history *h, struct seen *seen)
{
    struct spool_record r;
    uint64_t seq = 0, last_id = 0;
    int found;
    while ((found = spool_read(h->s, seq, &r)) > 0) {
        uint32_t id;
        if (r.seq < seq)
            return fault(h, "record %llu after %llu", (unsigned long long)r.seq,
                         (unsigned long long)seq);
        if (!right(h, &r, &id))
            return fault(h, "record %llu is not what was written", (unsigned long long)r.seq);
        if (seen->records && id <= last_id)
            return fault(h, "order: %u after %llu", id, (unsigned long long)last_id);
        if (h->e[id].state == GONE && !h->harmed)
            return fault(h, "record %llu has come back", (unsigned long long)r.seq);
        h->e[id].seq = r.seq;
        seen->of[id] = true;
        seen->records++;
        seen->items += r.items;
        seq = r.seq + 1;
        last_id = id;
    }
    return found == 0 || fault(h, "a read without faults: %s", err_name(found));
}

static bool check_stats(struct history *h, const struct seen *seen)
{
    struct spool_stats st;
    spool_stats(h->s, &st);
    if (!h->harmed && (st.records != seen->records || st.items != seen->items))
        return fault(h, "stats: %llu records of %llu, %llu items of %llu",
                     (unsigned long long)st.records, (unsigned long long)seen->records,
                     (unsigned long long)st.items, (unsigned long long)seen->items);
    if (h->d.faults == 0 && !h->harmed &&
        st.bytes > h->o.bytes + h->o.segment + PAYLOAD + SEGMENT_DATA)
        return fault(h, "%llu bytes of %llu", (unsigned long long)st.bytes,
                     (unsigned long long)h->o.bytes);
    return true;
}

/* Within a session what can be read is known exactly. */
static bool check_session(struct history *h)
{
    static bool of[ENTRIES];
    struct seen seen = {of, 0, 0};
    memset(of, 0, sizeof of);
    if (!read_all(h, &seen))
        return false;
    for (unsigned i = 0; i < h->n; i++)
        if (h->e[i].live != MAYBE && of[i] != (h->e[i].live == YES))
            return fault(h, "entry %u (%llu) is %s", i, (unsigned long long)h->e[i].seq,
                         of[i] ? "there" : "missing");
    return check_stats(h, &seen);
}

/* What was owed and is not there: of damage alone, no more than that can have done, and
 * counted if something durable came after it. */
static bool check_missing(struct history *h, const bool *of)
{
    struct spool_stats st;
    uint64_t missing = 0, sure = 0;
    unsigned newest = 0, oldest = h->n;
    spool_stats(h->s, &st);
    for (unsigned i = 0; i < h->n; i++)
        if (of[i]) {
            newest = i;
            oldest = oldest < i ? oldest : i;
        }
    for (unsigned i = 0; i < h->n; i++) {
        struct entry *e = &h->e[i];
        if (e->state != KEPT || of[i] || e->seq < h->asked)
            continue;
        if (h->dropping && i < oldest) {
            e->state = OPEN;
            continue;
        }
        missing++;
        sure += !e->vague && i < newest && e->era < h->e[newest].era;
        e->state = GONE;
    }
    h->lost += missing;
    h->damaged = st.dropped_records[SPOOL_DAMAGED];
    h->found_damaged += h->damaged;
    if (!h->violent && missing > h->flips)
        return fault(h, "%llu records lost, %u bytes changed", (unsigned long long)missing,
                     h->flips);
    if (!h->harmed && st.dropped_records[SPOOL_DAMAGED])
        return fault(h, "%llu records counted as damaged, none was",
                     (unsigned long long)st.dropped_records[SPOOL_DAMAGED]);
    if (!h->violent && st.dropped_records[SPOOL_DAMAGED] < sure)
        return fault(h, "%llu records damaged, %llu counted", (unsigned long long)sure,
                     (unsigned long long)st.dropped_records[SPOOL_DAMAGED]);
    return true;
}

/* After a start: what is owed is there, what is there may be. */
static bool check_start(struct history *h)
{
    static bool of[ENTRIES];
    struct seen seen = {of, 0, 0};
    memset(of, 0, sizeof of);
    if (!read_all(h, &seen) || !check_missing(h, of))
        return false;
    unsigned last = 0; /* in which something was written that is still there */
    for (unsigned i = 0; i < h->n; i++)
        last = of[i] ? h->e[i].era : last;
    for (unsigned i = 0; i < h->n; i++) {
        h->e[i].live = of[i] ? YES : NO;
        h->e[i].vague |= h->e[i].era >= last;
        if (!of[i] && h->e[i].seq && h->e[i].seq < h->asked && h->e[i].state == KEPT)
            h->e[i].state = OPEN; /* the mark may not have been durable */
    }
    h->unsynced = h->n;
    return check_stats(h, &seen);
}

/* What could not be read again and again was given up. */
static void note_given_up(struct history *h)
{
    struct spool_stats st;
    spool_stats(h->s, &st);
    if (h->d.faults && st.dropped_records[SPOOL_DAMAGED] != h->damaged)
        h->violent = h->harmed = true;
}

/* What an append or a trim dropped is the oldest, and is counted. */
static bool check_drops(struct history *h)
{
    struct spool_stats st;
    uint64_t records = 0, items = 0, most = 0, most_items = 0, said = 0, said_items = 0;
    note_given_up(h);
    spool_stats(h->s, &st);
    for (unsigned i = 0; i < h->n; i++) {
        struct entry *e = &h->e[i];
        if (e->live == NO || e->seq >= st.first)
            continue;
        most++;
        most_items += e->items;
        records += e->live == YES;
        items += e->live == YES ? e->items : 0;
        if (e->live == YES) {
            e->state = GONE;
            h->asked = h->asked > e->seq ? h->asked : e->seq + 1;
        }
        e->live = NO;
    }
    for (int why = SPOOL_BY_SIZE; why <= SPOOL_BY_AGE; why++) {
        said += st.dropped_records[why] - h->dropped[why];
        said_items += st.dropped_items[why] - h->dropped_items[why];
        h->dropped[why] = st.dropped_records[why];
        h->dropped_items[why] = st.dropped_items[why];
    }
    return h->harmed ||
           (said >= records && said_items >= items && said <= most && said_items <= most_items) ||
           fault(h, "%llu records and %llu items dropped, %llu and %llu counted",
                 (unsigned long long)records, (unsigned long long)items, (unsigned long long)said,
                 (unsigned long long)said_items);
}

/* ---- damage ---- */

static void flip(struct history *h)
{
    if (h->d.nlive == 0)
        return;
    struct disk_file *f = disk_file(&h->d, rng_below(&h->rng, h->d.nlive));
    if (f->size == 0)
        return;
    /* Half of them in what has a meaning: a head, or the head of a record. */
    uint64_t at = rng_next(&h->rng) % f->size;
    if (rng_chance(&h->rng, 50)) {
        const uint64_t unit = at < SEGMENT_DATA ? SEGMENT_TWIN : SEGMENT_SECTOR;
        at = at / unit * unit + rng_below(&h->rng, at < SEGMENT_DATA ? SEGMENT_HEAD : RECORD_HEAD);
    }
    if (at >= f->size)
        return;
    f->live[at] ^= (uint8_t)(1 + rng_below(&h->rng, 255));
    f->durable[at] = f->live[at];
    h->flips++;
    h->harmed = true;
}

static void put_junk(struct history *h)
{
    static const char *const names[] = {"0000000000000007.spool",
                                        "ffffffffffffffff.spool",
                                        "00000000000000a0.damaged",
                                        "README",
                                        "x.spool",
                                        ".lock",
                                        "0000000000000007.spool.1"};
    static uint8_t junk[20000];
    const char *name = names[rng_below(&h->rng, sizeof names / sizeof *names)];
    for (unsigned i = 0; i < h->d.nlive; i++)
        if (strcmp(h->d.live[i].name, name) == 0)
            return;
    const uint32_t n = rng_below(&h->rng, sizeof junk);
    for (uint32_t i = 0; i < n; i++)
        junk[i] = (uint8_t)rng_next(&h->rng);
    if (rng_chance(&h->rng, 30))
        memset(junk, 0, sizeof junk); /* a head that was never written */
    disk_put(&h->d, name, junk, n);
}

static void copy_file(struct history *h)
{
    char name[SEGMENT_SECTOR];
    if (h->d.nlive == 0)
        return;
    const struct disk_file *f = disk_file(&h->d, rng_below(&h->rng, h->d.nlive));
    snprintf(name, sizeof name, "%016x.spool", rng_below(&h->rng, 1000));
    for (unsigned i = 0; i < h->d.nlive; i++)
        if (strcmp(h->d.live[i].name, name) == 0)
            return;
    uint8_t *copy = malloc(f->size + 1);
    if (!copy)
        abort();
    memcpy(copy, f->live, f->size);
    disk_put(&h->d, name, copy, f->size);
    free(copy);
    h->violent = h->harmed = true;
}

static void do_damage(struct history *h)
{
    const uint32_t dice = rng_below(&h->rng, 100);
    const unsigned i = h->d.nlive ? rng_below(&h->rng, h->d.nlive) : 0;
    if (dice < 60) {
        flip(h);
    } else if (dice < 75) {
        put_junk(h);
    } else if (dice < 85) {
        copy_file(h);
    } else if (h->d.nlive && dice < 92) {
        struct disk_file *f = disk_file(&h->d, i);
        f->size = f->durable_size = rng_next(&h->rng) % (f->size + 1);
        h->violent = h->harmed = true;
    } else if (h->d.nlive) {
        disk_unlink(&h->d, i);
        h->violent = h->harmed = true;
    }
}

/* ---- life ---- */

static bool start(struct history *h)
{
    h->o.salt = rng_next(&h->rng);
    memset(h->dropped, 0, sizeof h->dropped);
    memset(h->dropped_items, 0, sizeof h->dropped_items);
    return spool_open(&h->s, &h->io, &h->o, h->now) == 0 || fault(h, "it does not open");
}

/* Comes back until it lives, with faults first at times, and then without any. */
static bool revive(struct history *h)
{
    struct spool_record r;
    for (int i = 0; i < 3 && rng_chance(&h->rng, 30); i++) {
        h->d.fault = rng_chance(&h->rng, 50) ? 0 : 1 + rng_below(&h->rng, 20);
        h->d.doom = rng_chance(&h->rng, 50) ? 1 + rng_below(&h->rng, 60) : 0;
        if (!start(h))
            return false;
        spool_close(h->s);
        h->crashes += h->d.frozen;
        disk_crash(&h->d, rng_chance(&h->rng, 50));
    }
    h->d.fault = h->d.doom = 0;
    h->d.read_only = false;
    h->d.room = UINT64_MAX;
    if (!start(h))
        return false;
    (void)spool_read(h->s, 0, &r);
    const bool good = check_start(h);
    h->flips = 0;
    h->violent = h->dropping = false;
    return good;
}

static bool end(struct history *h)
{
    spool_close(h->s);
    h->s = NULL;
    h->crashes += h->d.frozen;
    disk_crash(&h->d, rng_chance(&h->rng, 60));
    if (rng_chance(&h->rng, 15))
        do_damage(h);
    h->cursor = 0;
    return revive(h);
}

/* ---- what happens ---- */

static void append(struct history *h)
{
    static uint8_t payload[PAYLOAD];
    if (h->n == ENTRIES)
        return;
    struct entry *e = &h->e[h->n];
    *e = (struct entry){
        .written = h->now.wall,
        .items = rng_below(&h->rng, 100),
        .length = 4 + rng_below(&h->rng, rng_chance(&h->rng, 70) ? 900 : PAYLOAD - 4),
        .signal = (uint8_t)rng_below(&h->rng, 3),
        .era = h->era,
    };
    fill(payload, h->n, e->length);
    const struct str p = {(const char *)payload, e->length};
    uint64_t seq = 0;
    h->n++;
    const int r = spool_append(h->s, e->signal, e->items, p, h->now, &seq);
    if (r == 0) {
        e->seq = seq;
        e->live = MAYBE;
    }
}

/* After a sync that failed what waited for it is not kept; whether it can be read until
 * then is nobody's business. */
static bool sync_all(struct history *h)
{
    const int r = spool_sync(h->s);
    for (unsigned i = h->unsynced; i < h->n; i++) {
        if (r == 0 && h->e[i].live) {
            h->e[i].live = YES;
            h->e[i].state = KEPT;
            h->kept++;
        }
    }
    h->unsynced = h->n;
    h->era++;
    return true;
}

/* Such a call may have moved the mark for good and not have come to count what that cost. */
static bool may_drop(struct history *h)
{
    struct spool_stats st;
    spool_stats(h->s, &st);
    return st.bytes + h->o.segment + PAYLOAD + SEGMENT_DATA > h->o.bytes ||
           (h->o.age && st.oldest + h->o.age < h->now.wall);
}

static bool append_run(struct history *h)
{
    const unsigned n = 1 + rng_below(&h->rng, RUN);
    for (unsigned i = 0; i < n; i++) {
        const uint64_t faults = h->d.faults;
        const bool may = may_drop(h);
        append(h);
        h->dropping |= may && (h->d.frozen || h->d.faults != faults);
        if (!h->d.frozen && !check_drops(h))
            return false;
    }
    return rng_chance(&h->rng, 10) || sync_all(h);
}

static bool read_next(struct history *h)
{
    struct spool_record r;
    uint32_t id;
    const int found = spool_read(h->s, h->cursor, &r);
    if (found <= 0)
        return true;
    if (!right(h, &r, &id))
        return fault(h, "read: record %llu is not what was written", (unsigned long long)r.seq);
    h->cursor = r.seq + 1;
    return true;
}

static void finish(struct history *h)
{
    const uint64_t seq = h->cursor;
    if (seq > h->asked)
        h->asked = seq;
    const int r = spool_done(h->s, seq);
    if (r < 0)
        return;
    h->done = seq;
    for (unsigned i = 0; i < h->n; i++)
        if (h->e[i].seq && h->e[i].seq < seq) {
            h->e[i].live = NO;
            h->e[i].state = GONE;
        }
}

static bool trim(struct history *h)
{
    const uint64_t ns = rng_below(&h->rng, 20) * NS_PER_S;
    h->now.mono += ns;
    h->now.wall += ns;
    const uint64_t faults = h->d.faults;
    const bool may = may_drop(h);
    spool_trim(h->s, h->now);
    h->dropping |= may && (h->d.frozen || h->d.faults != faults);
    return h->d.frozen || check_drops(h);
}

static void weather(struct history *h)
{
    const uint32_t dice = rng_below(&h->rng, 10);
    h->d.fault = dice < 3 ? 1 + rng_below(&h->rng, 30) : 0;
    h->d.read_only = dice == 3;
    h->d.room = dice == 4 ? 20000 + rng_below(&h->rng, 100000) : UINT64_MAX;
    if (dice < 6 && h->d.doom == 0)
        h->d.doom = rng_chance(&h->rng, 50) ? 1 + rng_below(&h->rng, 30) : 0;
}

static bool step(struct history *h)
{
    const uint32_t dice = rng_below(&h->rng, 100);
    if (dice < 40)
        return append_run(h);
    if (dice < 60)
        return read_next(h);
    if (dice < 72)
        finish(h);
    else if (dice < 78)
        return trim(h);
    else if (dice < 90)
        weather(h);
    else if (dice < 93)
        return end(h);
    return true;
}

/* Whether what is readable is known: no fault has made a sync fail since the start. */
static bool calm(const struct history *h)
{
    return h->d.fault == 0 && !h->d.frozen && !h->d.read_only;
}

static bool live(struct history *h, uint32_t steps)
{
    if (!revive(h))
        return false;
    for (uint32_t i = 0; i < steps; i++) {
        const uint64_t faults = h->d.faults;
        if (!step(h))
            return false;
        note_given_up(h);
        if (h->d.frozen && !end(h))
            return false;
        if (calm(h) && faults == h->d.faults && h->d.faults == 0 && h->d.doom == 0 && !h->harmed &&
            rng_chance(&h->rng, 20) && !check_session(h))
            return false;
    }
    return end(h) && end(h);
}

/* ---- histories ---- */

struct sums {
    uint64_t crashes, kept, damaged, lost;
};

static void run(uint64_t seed, uint32_t steps, enum disk_mutant mutant, char wrong[256],
                struct sums *sum)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->rng.state = seed ^ UINT64_C(0x5b00150b00150b00);
    h->now = (struct when){1000 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S};
    h->o = (struct spool_options){.bytes = 80000 + rng_below(&h->rng, 200000),
                                  .age = rng_chance(&h->rng, 50) ? 300 * NS_PER_S : 0,
                                  .segment = 20000 + rng_below(&h->rng, 30000)};
    disk_init(&h->d, &h->rng, mutant);
    disk_io(&h->d, &h->io);
    live(h, steps);
    spool_close(h->s);
    memcpy(wrong, h->wrong, 256);
    sum->crashes += h->crashes;
    sum->kept += h->kept;
    sum->damaged += h->found_damaged;
    sum->lost += h->lost;
    disk_fini(&h->d);
    free(h);
}

static unsigned run_plain(uint64_t seed, uint64_t count, uint32_t steps)
{
    struct sums sum = {0};
    char wrong[256];
    unsigned failed = 0;
    for (uint64_t s = seed; s < seed + count; s++) {
        run(s, steps, DISK_MUTANT_NONE, wrong, &sum);
        if (!wrong[0])
            continue;
        failed++;
        printf("spool seed %llu: %s (again with --spool --seed %llu --count 1 --steps %u)\n",
               (unsigned long long)s, wrong, (unsigned long long)s, steps);
    }
    printf("%llu histories of a spool, %llu records kept, %llu crashes, %llu counted as damaged, "
           "%llu lost to damage\n",
           (unsigned long long)count, (unsigned long long)sum.kept, (unsigned long long)sum.crashes,
           (unsigned long long)sum.damaged, (unsigned long long)sum.lost);
    return failed;
}

static bool finds(enum disk_mutant mutant, uint64_t seed, uint64_t count, uint32_t steps)
{
    struct sums sum = {0};
    char wrong[256];
    for (uint64_t s = seed; s < seed + count; s++) {
        run(s, steps, mutant, wrong, &sum);
        if (wrong[0]) {
            printf("mutant %s: found by spool seed %llu: %s\n", disk_mutant_name(mutant),
                   (unsigned long long)s, wrong);
            return true;
        }
    }
    printf("mutant %s: NOT FOUND in %llu histories\n", disk_mutant_name(mutant),
           (unsigned long long)count);
    return false;
}

int spool_sim(uint64_t seed, uint64_t count, uint32_t steps, const char *mutant)
{
    unsigned passed = 0, failed = 0;
    if (!mutant[0]) {
        failed = run_plain(seed, count, steps);
        passed = (unsigned)count - failed;
    }
    for (int i = DISK_MUTANT_NONE + 1; i < DISK_MUTANT_MAX && mutant[0]; i++) {
        if (strcmp(mutant, "all") != 0 &&
            strcmp(mutant, disk_mutant_name((enum disk_mutant)i)) != 0)
            continue;
        if (finds((enum disk_mutant)i, seed, count, steps))
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
