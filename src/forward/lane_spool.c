#include "base/err.h"
#include "base/log.h"
#include "forward/lane_inside.h"

enum { REPLAY_BATCHES = 64 }; /* read, sent and not yet removed */

#define TOKEN_WAIT_NS (20 * NS_PER_MS)

/* A disk that fails is believed at once. That its keeper is away says nothing of the disk, and
 * a helper that dies again and again is back within half a minute: so long order is kept. Who
 * dies of what it reads is back each time; only what it has read shows that it is there. */
static const struct part {
    struct breaker_options breaker;
    const char *cannot; /* for log lines; NULL: not worth one */
} parts[LANE_SPOOL_PARTS] = {
    [LANE_SPOOL_WRITES] = {{.failures = 1, .first = NS_PER_S, .most = 30 * NS_PER_S}, "written"},
    [LANE_SPOOL_READS] = {{.failures = 1, .first = NS_PER_S, .most = 30 * NS_PER_S}, "read"},
    [LANE_SPOOL_MARKS] = {{.failures = 1, .first = NS_PER_S, .most = 30 * NS_PER_S}, NULL},
    [LANE_SPOOL_KEEPER] = {{.failures = 60, .first = 100 * NS_PER_MS, .most = NS_PER_S}, "reached"},
};

void lane_spool_init(struct lane *l)
{
    struct lane_spool *s = &l->spool;
    bundles_init(&s->replay);
    s->window = 1;
}

void lane_spool_fini(struct lane *l)
{
    bundles_fini(&l->spool.replay);
}

static bool fails(const struct lane_spool *s, enum lane_spool_part part)
{
    return s->breakers[part].state != BREAKER_CLOSED;
}

/* What is in it and comes before what memory has, nobody can have for now. */
static bool cannot_be_read(const struct lane_spool *s)
{
    return fails(s, LANE_SPOOL_READS) || fails(s, LANE_SPOOL_KEEPER);
}

static void trip(struct lane *l, enum lane_spool_part part, int error, struct when now)
{
    const struct part *p = &parts[part];
    const uint64_t random = l->io.random(l->io.arg);
    if (breaker_bad(&l->spool.breakers[part], &p->breaker, now.mono, 0, random, now.mono) &&
        p->cannot)
        log_warn("export", "%s: the spool cannot be %s: %s", l->name, p->cannot, err_help(error));
}

/* The helper has died, or another one that is about to end still has the spool. */
static bool is_away(int error)
{
    return error == -ERR_CLOSED || error == -ERR_BUSY;
}

/* It is opened again, and what comes behind it waits for that. */
static void lost(struct lane *l, int error, struct when now)
{
    if (l->spool.state == LANE_SPOOL_CLOSED)
        return; /* another answer has said so */
    l->spool.state = LANE_SPOOL_CLOSED;
    trip(l, LANE_SPOOL_KEEPER, error, now);
}

static void bad(struct lane *l, enum lane_spool_part part, int error, struct when now)
{
    own_add(l->own, OWN_EXPORT_SPOOL_FAILURES, l->index, 1);
    if (is_away(error))
        lost(l, error, now);
    else
        trip(l, part, error, now);
}

static void good(struct lane *l, enum lane_spool_part part)
{
    if (breaker_good(&l->spool.breakers[part]) && parts[part].cannot)
        log_info("export", "%s: the spool can be %s again", l->name, parts[part].cannot);
}

/* ---- the ledger ---- */

static uint64_t in_spool(const struct lane *l)
{
    return own_get(l->own, OWN_EXPORT_SPOOL_ITEMS, l->index);
}

static void set_in_spool(struct lane *l, uint64_t items)
{
    own_set(l->own, OWN_EXPORT_SPOOL_ITEMS, l->index, items);
}

static void count(struct lane *l, enum own_outcome outcome, uint64_t n)
{
    if (n)
        own_add(l->own, OWN_EXPORT_ITEMS, l->index * OWN_OUTCOMES + outcome, n);
}

/* Whether it was written while one before it was under way: the ledger has it in the spool
 * when that one is settled. */
static bool is_ahead(const struct bundle *b)
{
    return b->state == BUNDLE_DONE && b->spooled;
}

struct bundle *lane_spool_before(const struct lane *l)
{
    for (struct bundle *b = l->queue.head; b && !is_ahead(b); b = b->next)
        if (b->state == BUNDLE_READY)
            return b;
    return NULL;
}

static uint64_t items_ahead(const struct lane *l, const struct spool_stats *now)
{
    uint64_t n = 0;
    for (const struct bundle *b = l->queue.head; b; b = b->next)
        if (is_ahead(b) && b->seq >= now->first && b->seq < now->next)
            n += b->spooled;
    return n;
}

/* Where reading ends: what the ledger does not have there is not sent from there. */
static uint64_t read_end(const struct lane *l)
{
    for (const struct bundle *b = l->queue.head; b; b = b->next)
        if (is_ahead(b))
            return b->seq;
    return UINT64_MAX;
}

/* Items that the ledger has in the spool: those that are there and not yet dealt with,
 * and those that it has dropped meanwhile while we hold a copy of them. */
static uint64_t still_there(struct lane *l, const struct spool_stats *now)
{
    uint64_t done = items_ahead(l, now), held = 0;
    for (struct bundle *b = l->spool.replay.head; b; b = b->next) {
        b->orphan = b->orphan || b->seq < now->first || b->seq >= now->next;
        if (b->counted && !b->orphan)
            done += b->items;
        else if (!b->counted && b->orphan)
            held += b->items;
    }
    return (now->items > done ? now->items - done : 0) + held;
}

/* Items that went without us, under the names that the spool has for it. */
static void count_gone(struct lane *l, const struct spool_stats *now, uint64_t gone)
{
    static const enum own_outcome outcomes[] = {
        [SPOOL_BY_SIZE] = OWN_OUT_SPOOL_SIZE,
        [SPOOL_BY_AGE] = OWN_OUT_SPOOL_AGE,
        [SPOOL_DAMAGED] = OWN_OUT_SPOOL_DAMAGED,
    };
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t told = now->dropped_items[i] - l->spool.dropped[i];
        const uint64_t n = told < gone ? told : gone;
        count(l, outcomes[i], n);
        gone -= n;
    }
    count(l, OWN_OUT_SPOOL_MISSING, gone);
}

static void log_dropping(struct lane *l, bool dropped, const struct spool_stats *now)
{
    struct lane_spool *s = &l->spool;
    if (dropped && !s->dropping)
        log_warn("export", "%s: the spool drops what does not fit, is too old or damaged", l->name);
    s->dropping = (s->dropping || dropped) && now->records > 0;
}

/* Brings the ledger to what is there; every difference has a name. */
static void note_stats(struct lane *l, const struct spool_stats *now)
{
    struct lane_spool *s = &l->spool;
    const uint64_t was = in_spool(l), is = still_there(l, now);
    if (is < was)
        count_gone(l, now, was - is);
    else if (is > was)
        own_add(l->own, OWN_EXPORT_FOUND, l->index, is - was);
    set_in_spool(l, is);
    log_dropping(l, is < was, now);
    for (unsigned i = 0; i < 3; i++)
        s->dropped[i] = now->dropped_items[i];
    if (s->read_at < now->first)
        s->read_at = now->first;
    s->stats = *now;
}

static void note_opened(struct lane *l, const struct spool_stats *now)
{
    struct lane_spool *s = &l->spool;
    for (unsigned i = 0; i < 3; i++)
        s->dropped[i] = 0;
    if (!s->opened && now->items)
        log_info("export", "%s: %llu items wait in the spool", l->name,
                 (unsigned long long)now->items);
    if (now->next < s->read_at) /* it is another one */
        s->read_at = now->first;
    s->opened = true;
    note_stats(l, now);
}

/* ---- sending from it ---- */

static bool has_unread(const struct lane_spool *s)
{
    return s->state == LANE_SPOOL_OPEN && s->read_at < s->stats.next;
}

static bool may_read(const struct lane *l)
{
    return has_unread(&l->spool) && l->spool.read_at < read_end(l);
}

/* Memory is full and the ring soon is: order is not worth what would be lost. */
static bool is_short_of_room(const struct lane *l)
{
    return l->pressed && !lane_has_room(l);
}

bool lane_spool_lets_pass(const struct lane *l)
{
    const struct lane_spool *s = &l->spool;
    const bool away = s->breakers[LANE_SPOOL_KEEPER].since;
    if (cannot_be_read(s) || (fails(s, LANE_SPOOL_WRITES) && l->pressed) ||
        (away && is_short_of_room(l)))
        return true;
    return s->state == LANE_SPOOL_OPEN && !may_read(l) && !s->appending && !s->reading;
}

static void refill(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    const double rate = (double)l->options.replay_rate;
    if (s->tokens < rate) {
        s->tokens += rate * (double)(now.mono - s->tokens_at) / (double)NS_PER_S;
        if (s->tokens > rate)
            s->tokens = rate;
    }
    s->tokens_at = now.mono;
}

struct bundle *lane_spool_next(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    refill(l, now);
    if (bundles_count(&s->replay, BUNDLE_SENT) >= s->window ||
        (l->options.replay_rate && s->tokens <= 0))
        return NULL;
    return bundles_first(&s->replay, BUNDLE_READY);
}

void lane_spool_settle(struct lane *l)
{
    for (struct bundle *b = l->spool.replay.head; b; b = b->next) {
        if (b->state != BUNDLE_DONE || b->counted)
            continue;
        lane_count(l, b);
        const uint64_t have = in_spool(l);
        set_in_spool(l, have > b->items ? have - b->items : 0);
        b->counted = true;
    }
    store_commit(l->st);
}

/* ---- asking ---- */

/* Whether what is in memory is to go there now. */
static bool is_wanted(const struct lane *l, struct when now)
{
    const uint64_t since = l->breaker.since;
    if (!l->options.spool)
        return false;
    if (since && (l->flushing || l->pressed || now.mono - since >= l->options.spool_after))
        return true;
    if (is_short_of_room(l))
        return true;
    return has_unread(&l->spool) && !cannot_be_read(&l->spool);
}

/* The first that waits, when it is known what became of those before it. */
static struct bundle *next_to_keep(const struct lane *l)
{
    const bool full = is_short_of_room(l);
    struct bundle *b = l->queue.head;
    while (b && (b->state == BUNDLE_DONE || (full && b->state == BUNDLE_SENT)))
        b = b->next;
    return b && b->state == BUNDLE_READY ? b : NULL;
}

bool lane_spool_takes(const struct lane *l, struct when now)
{
    return l->spool.state == LANE_SPOOL_OPEN && !fails(&l->spool, LANE_SPOOL_WRITES) &&
           is_wanted(l, now);
}

static void append(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    struct bundle *b = s->appending || !is_wanted(l, now) ? NULL : next_to_keep(l);
    if (!b || !breaker_may(&s->breakers[LANE_SPOOL_WRITES], 0, now.mono))
        return;
    bundle_set_state(b, BUNDLE_KEEPING);
    s->appending = true;
    l->io.spool_append(l->io.arg, l->signal, b->items, (struct str){b->bytes, b->n});
}

static bool wants_more(const struct lane *l)
{
    const struct lane_spool *s = &l->spool;
    return may_read(l) && !s->reading && s->replay.count < REPLAY_BATCHES &&
           s->replay.bytes < l->options.queue_bytes &&
           bundles_count(&s->replay, BUNDLE_READY) + bundles_count(&s->replay, BUNDLE_SENT) <=
               s->window;
}

static void read_next(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    if (!wants_more(l) || !breaker_may(&s->breakers[LANE_SPOOL_READS], 0, now.mono))
        return;
    s->reading = true;
    l->io.spool_read(l->io.arg, l->signal, s->read_at);
}

/* Removes what has been sent, in order. */
static void finish(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    while (s->replay.head && s->replay.head->counted && s->replay.head->orphan)
        bundles_pop(&s->replay);
    uint64_t to = 0;
    for (const struct bundle *b = s->replay.head; b && b->counted && !b->orphan; b = b->next)
        to = b->seq + 1;
    if (!to || s->finishing || !breaker_may(&s->breakers[LANE_SPOOL_MARKS], 0, now.mono))
        return;
    s->finishing = true;
    s->finish_at = to;
    l->io.spool_finish(l->io.arg, l->signal, to);
}

void lane_spool_turn(struct lane *l, struct when now)
{
    struct lane_spool *s = &l->spool;
    if (s->state == LANE_SPOOL_CLOSED && !s->appending && !s->reading && !s->finishing &&
        breaker_may(&s->breakers[LANE_SPOOL_READS], 0, now.mono) &&
        breaker_may(&s->breakers[LANE_SPOOL_KEEPER], 0, now.mono)) {
        s->state = LANE_SPOOL_OPENING;
        l->io.spool_open(l->io.arg, l->signal);
    }
    if (s->state != LANE_SPOOL_OPEN)
        return;
    finish(l, now);
    append(l, now);
    read_next(l, now);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t lane_spool_wakes(const struct lane *l, struct when now)
{
    const struct lane_spool *s = &l->spool;
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < LANE_SPOOL_PARTS; i++)
        if (s->breakers[i].until > now.mono)
            at = sooner(at, s->breakers[i].until);
    if (l->options.replay_rate && s->tokens <= 0 && bundles_first(&s->replay, BUNDLE_READY))
        at = sooner(at, now.mono + TOKEN_WAIT_NS);
    return at;
}

void lane_spool_report(struct lane *l, struct when now)
{
    const struct spool_stats *st = &l->spool.stats;
    const uint64_t oldest = st->records ? st->oldest : 0;
    own_set(l->own, OWN_EXPORT_SPOOL_BYTES, l->index, st->bytes);
    own_set(l->own, OWN_EXPORT_SPOOL_AGE, l->index,
            oldest && now.wall > oldest ? (now.wall - oldest) / NS_PER_S : 0);
}

/* ---- answers ---- */

void lane_spool_opened(struct lane *l, int error, const struct spool_stats *stats, struct when now)
{
    struct lane_spool *s = &l->spool;
    if (s->state != LANE_SPOOL_OPENING)
        return;
    if (is_away(error)) {
        lost(l, error, now); /* no operation that failed: nobody was there to begin it */
    } else if (error) {
        s->state = LANE_SPOOL_CLOSED;
        bad(l, LANE_SPOOL_READS, error, now);
    } else {
        s->state = LANE_SPOOL_OPEN;
        good(l, LANE_SPOOL_READS);
        note_opened(l, stats);
        if (!has_unread(s))
            good(l, LANE_SPOOL_KEEPER);
    }
    store_commit(l->st);
}

void lane_spool_kept(struct lane *l, int error, const struct spool_stats *stats, struct when now)
{
    struct bundle *b = bundles_first(&l->queue, BUNDLE_KEEPING);
    l->spool.appending = false;
    if (error) {
        bundle_set_state(b, BUNDLE_READY);
        bad(l, LANE_SPOOL_WRITES, error, now);
    } else {
        good(l, LANE_SPOOL_WRITES);
        b->spooled = b->items;
        b->seq = stats->next - 1;
        if (!l->breaker.since)
            l->spool.tokens += b->items; /* replay is paced beside what comes in */
        bundle_set_state(b, BUNDLE_DONE);
        bundles_drop_bytes(&l->queue, b);
    }
    lane_settle(l);
    if (!error)
        note_stats(l, stats);
    store_commit(l->st);
}

static int keep_read(struct lane *l, const struct spool_record *r)
{
    struct lane_spool *s = &l->spool;
    if (r->seq == 0) {
        s->read_at = s->stats.next;
        return 0;
    }
    if (r->seq >= read_end(l)) { /* those before it are gone */
        s->read_at = read_end(l);
        return 0;
    }
    struct bundle *b = bundles_add(&s->replay, BUNDLE_SPOOL, r->payload);
    if (!b)
        return -ERR_NOMEM;
    b->id = l->next_id++;
    b->seq = r->seq;
    b->items = r->items;
    s->read_at = r->seq + 1;
    return 0;
}

void lane_spool_was_read(struct lane *l, int error, const struct spool_record *record,
                         const struct spool_stats *stats, struct when now)
{
    l->spool.reading = false;
    if (!error) {
        note_stats(l, stats);
        error = keep_read(l, record);
    }
    if (error) {
        bad(l, LANE_SPOOL_READS, error, now);
    } else {
        good(l, LANE_SPOOL_READS);
        good(l, LANE_SPOOL_KEEPER);
    }
    store_commit(l->st);
}

void lane_spool_finished(struct lane *l, int error, const struct spool_stats *stats,
                         struct when now)
{
    struct lane_spool *s = &l->spool;
    s->finishing = false;
    if (error) {
        bad(l, LANE_SPOOL_MARKS, error, now);
    } else {
        good(l, LANE_SPOOL_MARKS);
        while (s->replay.head && s->replay.head->counted && s->replay.head->seq < s->finish_at)
            bundles_pop(&s->replay);
        note_stats(l, stats);
    }
    store_commit(l->st);
}
