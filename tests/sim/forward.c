/* What has to hold, whatever happens: everything that may be retried arrives at least
 * once, or is counted under the name of what happened to it; nothing that was taken
 * or refused for good is sent again by the daemon that was told so; without concurrency and
 * with a disk that works, items arrive in order for the first time, however often the process
 * that keeps the spool dies; the ledgers balance. */
#include "forward.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "forward/lane.h"
#include "spooler.h"
#include "store/ring.h"

enum { LANES = 2, ITEMS_MAX = 60000, REQUESTS_MAX = 64, SETTLE_ROUNDS = 30000 };

/* What the collector knows of an item. */
struct fate {
    bool delivered, refused, dropped, sampled;
    bool twice;        /* the spool may have it twice: its process died on it */
    uint32_t final_in; /* life of the daemon that was told that it is done with */
};

enum mood { MOOD_TAKES, MOOD_GONE, MOOD_BUSY, MOOD_DEAF, MOOD_REFUSES, MOOD_PART, MOODS };

struct pending {
    unsigned lane;
    uint64_t id;
    char *bytes;
    size_t n;
};

struct stream {
    struct lane lane;
    bool made;
    struct spooler spool;
    struct fate *fates;
    uint32_t items;   /* appended so far; their numbers begin at 1 */
    uint32_t highest; /* that was ever delivered */
};

struct world {
    struct rng rng;
    struct machine m;
    struct stream streams[LANES];
    struct lane_options options;
    struct pending pending[REQUESTS_MAX];
    unsigned npending;
    enum mood mood;
    uint32_t life;
    bool strict; /* order and completeness can be asked for to the letter */
    bool told;   /* a mood that speaks for good was used: some are refused */
    unsigned current;
    struct forward_sum *sum;
    char wrong[256];
};

static const enum otlp_signal signals[LANES] = {OTLP_TRACES, OTLP_LOGS};
static const enum store_ring_id rings[LANES] = {RING_SPANS, RING_EVENTS};
static const unsigned kinds[LANES] = {RECORD_OTLP_SPAN, RECORD_OTLP_LOG};

__attribute__((format(printf, 2, 3))) static bool fault(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!w->wrong[0])
        vsnprintf(w->wrong, sizeof w->wrong, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- items ---- */

/* A span, or a log record, that carries its number in a field of 4 bytes at its end. */
static void make_item(struct buf *to, unsigned lane, uint32_t number)
{
    uint8_t item[48] = {0};
    size_t n = 0;
    const uint8_t trace = lane ? 9 : 1, span = lane ? 10 : 2;
    item[n++] = (uint8_t)(trace << 3 | 2);
    item[n++] = 16;
    memset(item + n, 7, 16);
    n += 16;
    item[n++] = (uint8_t)(span << 3 | 2);
    item[n++] = 8;
    memset(item + n, 8, 8);
    n += 8;
    item[n++] = (uint8_t)((lane ? 8 : 16) << 3 | 5) | (lane ? 0 : 0x80);
    if (!lane)
        item[n++] = 1; /* field 16 takes two bytes */
    memcpy(item + n, &number, sizeof number);
    n += sizeof number;
    otlp_join(to, STR(""), STR(""), (struct str){(char *)item, n});
}

static uint32_t number_of(struct str item)
{
    uint32_t number = 0;
    if (item.n >= sizeof number)
        memcpy(&number, item.p + item.n - sizeof number, sizeof number);
    return number;
}

/* The numbers of the items of a request. */
static unsigned numbers(struct world *w, unsigned lane, struct str request, uint32_t *out,
                        unsigned max)
{
    struct otlp_walk walk;
    struct otlp_item item;
    unsigned n = 0;
    int r;
    otlp_walk_init(&walk, signals[lane], request);
    while ((r = otlp_walk_next(&walk, &item)) > 0 && n < max) {
        if (r == OTLP_MORE)
            continue;
        out[n] = number_of(item.bytes);
        if (out[n] == 0 || out[n] > w->streams[lane].items)
            fault(w, "a request has an item that nobody made");
        else
            n++;
    }
    otlp_walk_fini(&walk);
    if (r < 0)
        fault(w, "a request cannot be read");
    return n;
}

/* ---- the collector ---- */

enum { PER_REQUEST = 4096 };

static bool is_ready(void *arg)
{
    struct world *w = arg;
    return w->npending < REQUESTS_MAX;
}

static void on_send(void *arg, enum otlp_signal signal, uint64_t id, struct str request)
{
    struct world *w = arg;
    const unsigned lane = signal == signals[0] ? 0 : 1;
    uint32_t list[PER_REQUEST];
    const unsigned n = numbers(w, lane, request, list, PER_REQUEST);
    struct pending *p = &w->pending[w->npending++];
    *p = (struct pending){lane, id, malloc(request.n), request.n};
    memcpy(p->bytes, request.p, request.n);
    for (unsigned i = 0; i < n; i++) {
        const struct fate *f = &w->streams[lane].fates[list[i]];
        if (f->final_in == w->life && !f->twice)
            fault(w, "lane %u: item %u is sent again after its answer", lane, list[i]);
    }
}

static void arrive(struct world *w, unsigned lane, uint32_t number)
{
    struct stream *s = &w->streams[lane];
    struct fate *f = &s->fates[number];
    w->sum->delivered += !f->delivered;
    w->sum->again += f->delivered;
    if (w->strict && !f->delivered && !f->refused && number < s->highest)
        fault(w, "lane %u: item %u comes after item %u", lane, number, s->highest);
    f->delivered = true;
    if (number > s->highest)
        s->highest = number;
}

/* What the collector does with a request, and says. */
static struct outcome serve(struct world *w, const struct pending *p, enum mood mood,
                            const uint32_t *list, unsigned n)
{
    struct outcome o = {.kind = OUTCOME_RETRY, .status = 503, .message = STR("busy")};
    unsigned taken = mood == MOOD_TAKES || mood == MOOD_DEAF ? n : 0;
    if (mood == MOOD_PART) {
        o.rejected = n ? rng_below(&w->rng, n) : 0;
        taken = n - (unsigned)o.rejected;
    }
    for (unsigned i = 0; i < taken; i++)
        arrive(w, p->lane, list[i]);
    if (mood == MOOD_REFUSES || mood == MOOD_PART) {
        w->told = true;
        for (unsigned i = taken; i < n; i++)
            w->streams[p->lane].fates[list[i]].refused = true;
    }
    if (mood == MOOD_TAKES || mood == MOOD_PART)
        o.kind = OUTCOME_OK;
    else if (mood == MOOD_REFUSES)
        o.kind = OUTCOME_REFUSED;
    else if (mood == MOOD_BUSY)
        o.after = rng_below(&w->rng, 4000) * NS_PER_MS;
    else
        o.status = 0;
    return o;
}

struct answering {
    struct world *w;
    struct pending p;
    struct outcome o;
};

static void do_answer(void *arg)
{
    struct answering *a = arg;
    lane_answer(&a->w->streams[a->p.lane].lane, a->p.id, &a->o, a->w->m.now);
}

static void answer_one(struct world *w, enum mood mood)
{
    uint32_t list[PER_REQUEST];
    if (w->npending == 0)
        return;
    const unsigned at = rng_below(&w->rng, w->npending);
    struct answering a = {.w = w, .p = w->pending[at]};
    memmove(w->pending + at, w->pending + at + 1, (--w->npending - at) * sizeof a.p);
    const unsigned n = numbers(w, a.p.lane, (struct str){a.p.bytes, a.p.n}, list, PER_REQUEST);
    a.o = serve(w, &a.p, mood, list, n);
    if (machine_do(&w->m, do_answer, &a) && a.o.kind != OUTCOME_RETRY)
        for (unsigned i = 0; i < n; i++)
            w->streams[a.p.lane].fates[list[i]].final_in = w->life;
    free(a.p.bytes);
}

/* ---- the daemon ---- */

static void ask(void *arg, enum otlp_signal signal, enum spooler_op op, uint64_t seq,
                uint32_t items, struct str payload)
{
    struct world *w = arg;
    spooler_ask(&w->streams[signal == signals[0] ? 0 : 1].spool, op, seq, items, payload);
}

static void on_open(void *arg, enum otlp_signal signal)
{
    ask(arg, signal, OP_OPEN, 0, 0, STR(""));
}

static void on_append(void *arg, enum otlp_signal signal, uint32_t items, struct str payload)
{
    ((struct world *)arg)->sum->spooled += items;
    ask(arg, signal, OP_APPEND, 0, items, payload);
}

static void on_read(void *arg, enum otlp_signal signal, uint64_t seq)
{
    ask(arg, signal, OP_READ, seq, 0, STR(""));
}

static void on_finish(void *arg, enum otlp_signal signal, uint64_t seq)
{
    ask(arg, signal, OP_FINISH, seq, 0, STR(""));
}

static uint64_t on_random(void *arg)
{
    return rng_next(&((struct world *)arg)->rng);
}

/* Traces are held for two seconds; of every five spans one is left out. */
static bool is_left_out(uint64_t received)
{
    return received / NS_PER_MS % 5 == 0;
}

static void on_decide(void *arg, const struct sample_span *span, uint64_t received, bool pressed,
                      struct when now, struct sample_decision *out)
{
    (void)arg;
    (void)span;
    *out = (struct sample_decision){.verdict = SAMPLE_KEEP};
    if (!pressed && now.wall < received + 2 * NS_PER_S)
        out->verdict = SAMPLE_WAIT;
    else if (is_left_out(received))
        out->verdict = SAMPLE_LEAVE_OUT;
}

static void make_lanes(struct world *w)
{
    const struct lane_io io = {w,       is_ready,  on_send,   on_open,   on_append,
                               on_read, on_finish, on_random, on_decide, NULL};
    const struct str name = STR("export/up");
    const int row = consumer_claim(&w->m.st, name, &name, 1);
    assert(row >= 0);
    if (own_destination(&w->m.pl.own, 0, STR("up"), 7, w->m.now) < 0)
        abort();
    for (unsigned i = 0; i < LANES; i++) {
        struct stream *s = &w->streams[i];
        lane_init(&s->lane, &w->m.st, &w->m.pl.own, 0, signals[i], rings[i],
                  (enum store_consumer)row, &w->options, &io, "up");
        s->made = true;
    }
}

/* The ring does not know yet that the spool has it. */
static void mark_twice(struct world *w, unsigned lane, const char *bytes, size_t n)
{
    uint32_t list[PER_REQUEST];
    unsigned k = numbers(w, lane, (struct str){bytes, n}, list, PER_REQUEST);
    while (k--)
        w->streams[lane].fates[list[k]].twice = true;
}

static bool is_ahead(const struct stream *s, uint64_t seq)
{
    const struct bundle *b = s->made ? s->lane.queue.head : NULL;
    while (b && !(b->state == BUNDLE_DONE && b->spooled && b->seq == seq))
        b = b->next;
    return b;
}

static void mark_unsettled(struct world *w, unsigned lane)
{
    const struct spooler *s = &w->streams[lane].spool;
    for (unsigned i = 0; i < s->nasked; i++)
        if (s->asked[i].op == OP_APPEND)
            mark_twice(w, lane, s->asked[i].bytes, s->asked[i].n);
    /* The newest, and those that were written past a request under way. */
    for (unsigned i = 0; i < s->n; i++)
        if (i + 1 == s->n || is_ahead(&w->streams[lane], s->records[i].seq))
            mark_twice(w, lane, s->records[i].bytes, s->records[i].n);
}

/* What the daemon had is gone; the collector may have read what was on its way. */
static void forget(struct world *w)
{
    uint32_t list[PER_REQUEST];
    while (w->npending) {
        const struct pending p = w->pending[--w->npending];
        const unsigned n = numbers(w, p.lane, (struct str){p.bytes, p.n}, list, PER_REQUEST);
        if (rng_chance(&w->rng, 50) && w->mood == MOOD_TAKES && w->npending == 0)
            for (unsigned i = 0; i < n; i++)
                arrive(w, p.lane, list[i]);
        free(p.bytes);
    }
    for (unsigned i = 0; i < LANES; i++) {
        mark_unsettled(w, i);
        if (w->streams[i].made)
            lane_fini(&w->streams[i].lane);
        w->streams[i].made = false;
        spooler_die(&w->streams[i].spool, NULL, w->m.now);
    }
}

static void boot(void *arg)
{
    make_lanes(arg);
}

static bool revive(struct world *w)
{
    do {
        forget(w);
        w->life++;
        if (!machine_start(&w->m))
            return fault(w, "%s", w->m.wrong);
    } while (!w->m.alive || !machine_do(&w->m, boot, w));
    return true;
}

static void do_turn(void *arg)
{
    struct world *w = arg;
    struct stream *s = &w->streams[w->current];
    (void)lane_turn(&s->lane, 1 + rng_below(&w->rng, 300), w->m.now);
    if (rng_chance(&w->rng, 10))
        lane_report(&s->lane, w->m.now);
}

static void do_spool(void *arg)
{
    struct world *w = arg;
    struct stream *s = &w->streams[w->current];
    spooler_work(&s->spool, &s->lane, w->m.now);
}

static void do_spool_death(void *arg)
{
    struct world *w = arg;
    struct stream *s = &w->streams[w->current];
    mark_unsettled(w, w->current);
    spooler_die(&s->spool, &s->lane, w->m.now);
}

struct adding {
    struct world *w;
    unsigned n;
};

static void do_add(void *arg)
{
    struct adding *a = arg;
    struct world *w = a->w;
    struct stream *s = &w->streams[w->current];
    const enum store_ring_id ring = rings[w->current];
    for (; a->n && s->items + 1 < ITEMS_MAX; a->n--) {
        struct buf body;
        buf_init(&body, 4096);
        make_item(&body, w->current, s->items + 1);
        const struct ring_item item = {.kind = kinds[w->current],
                                       .service = STR("svc"),
                                       .body = buf_str(&body),
                                       .received = w->m.now.wall + s->items % 100 * NS_PER_MS};
        ring_make_room(&w->m.st, ring);
        if (ring_append(&w->m.st, ring, &item) < 0)
            abort();
        s->items++;
        s->fates[s->items].sampled = w->current == 0 && is_left_out(item.received);
        w->sum->items++;
        store_commit(&w->m.st);
        buf_fini(&body);
    }
}

static void add(struct world *w, unsigned n)
{
    struct adding a = {w, n};
    const struct follow *f = &w->streams[w->current].lane.follow;
    struct follow settled;
    follow_init(&settled, &w->m.st, f->ring, f->consumer);
    if (w->strict && follow_pressure(&settled, &w->m.st) > 0.5)
        return;
    const uint64_t doom = w->m.points_left;
    w->m.points_left = 0; /* the door is another history's matter */
    (void)machine_do(&w->m, do_add, &a);
    w->m.points_left = doom;
}

/* ---- what has to hold ---- */

static uint64_t outcome_of(struct world *w, unsigned lane, unsigned outcome)
{
    return own_get(&w->m.pl.own, OWN_EXPORT_ITEMS,
                   own_lane_index(0, signals[lane]) * OWN_OUTCOMES + outcome);
}

static bool check_ledger(struct world *w, unsigned lane)
{
    struct consumer_view c;
    const unsigned index = own_lane_index(0, signals[lane]);
    const uint64_t in_spool = own_get(&w->m.pl.own, OWN_EXPORT_SPOOL_ITEMS, index);
    const uint64_t found = own_get(&w->m.pl.own, OWN_EXPORT_FOUND, index);
    uint64_t done = 0;
    consumer_read(&w->m.st, rings[lane], w->streams[lane].lane.follow.consumer, &c);
    for (unsigned i = 0; i < OWN_OUTCOMES; i++)
        done += outcome_of(w, lane, i);
    if (c.appended != c.read + c.overrun + c.waiting ||
        c.read != c.delivered + c.filtered + c.failed)
        return fault(w, "lane %u: %llu appended, %llu read, %llu overrun, %llu waiting", lane,
                     (unsigned long long)c.appended, (unsigned long long)c.read,
                     (unsigned long long)c.overrun, (unsigned long long)c.waiting);
    if (c.read + found != done + in_spool)
        return fault(w, "lane %u: %llu read and %llu found are not %llu done and %llu in the spool",
                     lane, (unsigned long long)c.read, (unsigned long long)found,
                     (unsigned long long)done, (unsigned long long)in_spool);
    /* What the spool drops just before both die, nobody has heard of. */
    if ((w->strict && outcome_of(w, lane, OWN_OUT_SPOOL_MISSING)) ||
        outcome_of(w, lane, OWN_OUT_UNREADABLE))
        return fault(w, "lane %u: something was lost that nobody took away", lane);
    return true;
}

static bool check(struct world *w)
{
    char why[128];
    if (store_check(&w->m.st, why, sizeof why) < 0)
        return fault(w, "store: %s", why);
    return check_ledger(w, 0) && check_ledger(w, 1);
}

static bool check_all_arrived(struct world *w, unsigned lane)
{
    const struct stream *s = &w->streams[lane];
    struct consumer_view c;
    uint64_t lost = 0;
    consumer_read(&w->m.st, rings[lane], s->lane.follow.consumer, &c);
    for (uint32_t i = 1; i <= s->items; i++) {
        const struct fate *f = &s->fates[i];
        lost += !f->delivered && !f->refused && !f->dropped && !f->sampled;
        w->sum->refused += f->refused;
        w->sum->dropped += f->dropped;
    }
    w->sum->overrun += c.overrun;
    if (lost > c.overrun || (w->strict && c.overrun))
        return fault(w, "lane %u: %llu items never arrived, %llu were overrun", lane,
                     (unsigned long long)lost, (unsigned long long)c.overrun);
    if (c.waiting || s->spool.n)
        return fault(w, "lane %u: %llu still wait, and %u records of the spool", lane,
                     (unsigned long long)c.waiting, s->spool.n);
    return true;
}

/* ---- a history ---- */

static void lost_in_spool(void *arg, struct str request)
{
    struct world *w = arg;
    uint32_t list[PER_REQUEST];
    unsigned n = numbers(w, w->current, request, list, PER_REQUEST);
    while (n--)
        w->streams[w->current].fates[list[n]].dropped = true;
}

static void pass_time(struct world *w, uint64_t ms)
{
    w->m.now.mono += ms * NS_PER_MS;
    w->m.now.wall += ms * NS_PER_MS;
}

static void reload(struct world *w)
{
    struct lane_options *o = &w->options;
    o->batch_items = 1 + rng_below(&w->rng, 200);
    o->batch_bytes = 1000 + rng_below(&w->rng, 20000);
    o->batch_delay = rng_below(&w->rng, 3000) * NS_PER_MS;
    o->queue_batches = 2 + rng_below(&w->rng, 30);
    o->concurrent = w->strict ? 1 : 1 + rng_below(&w->rng, 6);
    o->spool = rng_chance(&w->rng, 80);
    o->spool_after = rng_below(&w->rng, 10000) * NS_PER_MS;
    o->replay_rate = rng_chance(&w->rng, 50) ? 0 : 10 + rng_below(&w->rng, 2000);
    o->breaker.failures = 1 + rng_below(&w->rng, 6);
    o->pressed = w->strict ? 2 : 0.1 * rng_below(&w->rng, 10);
    for (unsigned i = 0; i < LANES; i++)
        if (w->streams[i].made)
            lane_configure(&w->streams[i].lane, o);
}

static void do_again(void *arg)
{
    struct world *w = arg;
    for (unsigned i = 0; i < LANES; i++) {
        mark_unsettled(w, i);
        spooler_die(&w->streams[i].spool, NULL, w->m.now);
        lane_fini(&w->streams[i].lane);
        w->streams[i].made = false;
    }
    make_lanes(w);
}

/* The destination is taken out of the configuration and put back. */
static void remove_and_add(struct world *w)
{
    while (w->npending)
        free(w->pending[--w->npending].bytes);
    w->life++;
    (void)machine_do(&w->m, do_again, w);
}

static void spoil(struct world *w)
{
    struct spooler *s = &w->streams[w->current].spool;
    const uint32_t dice = rng_below(&w->rng, 10);
    if (w->strict) { /* its disk works */
        if (dice < 5)
            (void)machine_do(&w->m, do_spool_death, w);
        return;
    }
    if (dice < 3)
        s->no_room = !s->no_room;
    else if (dice < 5)
        s->unreadable = !s->unreadable;
    else if (dice < 8)
        (void)machine_do(&w->m, do_spool_death, w);
    else
        spooler_trim(s, rng_below(&w->rng, 3));
}

static void step(struct world *w)
{
    const uint32_t dice = rng_below(&w->rng, 1000);
    w->current = rng_below(&w->rng, LANES);
    if (dice < 150)
        add(w, rng_below(&w->rng, rng_chance(&w->rng, 5) ? 1000 : 40));
    else if (dice < 450)
        (void)machine_do(&w->m, do_turn, w);
    else if (dice < 650)
        answer_one(w, w->mood);
    else if (dice < 800)
        (void)machine_do(&w->m, do_spool, w);
    else if (dice < 900)
        pass_time(w, rng_below(&w->rng, rng_chance(&w->rng, 10) ? 60000 : 1000));
    else if (dice < 930)
        w->mood = rng_chance(&w->rng, 40) ? MOOD_TAKES : (enum mood)rng_below(&w->rng, MOODS);
    else if (dice < 960)
        machine_doom(&w->m, 300);
    else if (dice < 970)
        reload(w);
    else if (dice < 975)
        remove_and_add(w);
    else
        spoil(w);
}

static bool is_settled(struct world *w)
{
    for (unsigned i = 0; i < LANES; i++) {
        const struct stream *s = &w->streams[i];
        if (!lane_idle(&s->lane) || follow_waiting(&s->lane.follow, &w->m.st) || s->spool.n ||
            s->spool.nasked)
            return false;
    }
    return w->npending == 0;
}

/* Everything is well again: everything arrives. */
static bool settle(struct world *w)
{
    w->m.points_left = 0;
    for (unsigned i = 0; i < LANES; i++)
        w->streams[i].spool.no_room = w->streams[i].spool.unreadable = false;
    for (unsigned round = 0; round < SETTLE_ROUNDS; round++) {
        if (is_settled(w))
            return true;
        for (w->current = 0; w->current < LANES; w->current++) {
            (void)machine_do(&w->m, do_turn, w);
            (void)machine_do(&w->m, do_spool, w);
        }
        answer_one(w, MOOD_TAKES);
        pass_time(w, 200);
    }
    return fault(w, "it never came to rest: lane 0 %u batches, %u in the spool; lane 1 %u, %u",
                 w->streams[0].lane.queue.count, w->streams[0].spool.n,
                 w->streams[1].lane.queue.count, w->streams[1].spool.n);
}

static bool live(struct world *w, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (!w->m.alive && !(revive(w) && check(w)))
            return false;
        step(w);
        if (w->m.alive && !(check_ledger(w, 0) && check_ledger(w, 1)))
            return false;
        if (w->wrong[0])
            return false;
    }
    if (!w->m.alive && !revive(w))
        return false;
    return settle(w) && check(w) && check_all_arrived(w, 0) && check_all_arrived(w, 1);
}

static void quiet(void *arg, const struct log_line *line)
{
    (void)arg;
    (void)line;
}

void forward_history(uint64_t seed, uint32_t steps, enum mutant mutant, char wrong[256],
                     struct forward_sum *sum)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    log_set_sink(quiet, NULL);
    w->rng.state = seed;
    w->sum = sum;
    w->strict = rng_chance(&w->rng, 40);
    machine_init(&w->m, &w->rng, mutant);
    lane_defaults(&w->options);
    for (unsigned i = 0; i < LANES; i++) {
        w->streams[i].fates = calloc(ITEMS_MAX, sizeof *w->streams[i].fates);
        spooler_init(&w->streams[i].spool, &w->rng);
        w->streams[i].spool.lost = lost_in_spool;
        w->streams[i].spool.arg = w;
        if (!w->streams[i].fates)
            abort();
    }
    reload(w);
    live(w, steps);
    memcpy(wrong, w->wrong, 256);
    sum->kills += w->m.kills;
    forget(w);
    for (unsigned i = 0; i < LANES; i++) {
        spooler_fini(&w->streams[i].spool);
        free(w->streams[i].fates);
    }
    machine_fini(&w->m);
    log_set_sink(NULL, NULL);
    free(w);
}
