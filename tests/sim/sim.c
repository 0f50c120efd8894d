/* sim: seeded histories of producers, a daemon that is killed between any two
 * changes to its store, and the bytes between them. Floors 0 to 3 run as they are;
 * clock, file and sockets are the simulation's.
 *
 *     sim [--spool | --domains] [--seed N] [--count N] [--steps N] [--mutant NAME|all]
 *
 * With --spool the histories are of a spool on a disk that fails and forgets, with --domains
 * of failure domains of which two misbehave.
 * After every start, and at the end, the store must hold exactly what the items
 * that it calls applied amount to, and the ledger must balance. With --mutant a
 * kind of change is left out of the undo log on purpose: then at least one history
 * has to fail. The last line is `N passed, N failed`. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domains.h"
#include "forward.h"
#include "machine.h"
#include "node.h"
#include "pipeline/redact.h"
#include "sender.h"
#include "spool_sim.h"
#include "store/read.h"
#include "store/session.h"
#include "store/session_ring.h"

enum { NODES = 4, SENDERS = 2, DRAIN_ROUNDS = 20000, PATIENT_ROUNDS = 1000 };

struct history {
    struct rng rng;
    struct machine m;
    struct node nodes[NODES];
    struct sender senders[SENDERS];
    bool hungry;     /* allocations fail: what needed them is dropped */
    bool tight;      /* memory for the store is short: what finds no room is dropped */
    char wrong[256]; /* empty: nothing yet */
};

/* ---- what has to hold ---- */

__attribute__((format(printf, 2, 3))) static bool fault(struct history *h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!h->wrong[0])
        vsnprintf(h->wrong, sizeof h->wrong, fmt, ap);
    va_end(ap);
    return false;
}

static bool sample_of(struct history *h, const char *family, struct sample *v)
{
    struct metric_view mv;
    struct series_view sv;
    *v = (struct sample){0};
    if (!metric_find(&h->m.st, str_of(family), &mv) || !series_read(&h->m.st, mv.first, &sv))
        return false;
    series_sample(&h->m.st, &mv, &sv, v);
    return true;
}

/* What the store must hold: every item up to what it has applied of each node. */
static bool expected(struct history *h, struct totals *t)
{
    *t = (struct totals){0};
    for (unsigned i = 0; i < NODES; i++) {
        const uint32_t s = session_find(&h->m.st, h->nodes[i].p.session);
        const uint64_t applied = s ? session_at(&h->m.st, s)->applied : 0;
        if (applied > h->nodes[i].nlog)
            return fault(h, "node %u: applied %llu of %llu", i, (unsigned long long)applied,
                         (unsigned long long)h->nodes[i].nlog);
        node_totals(&h->nodes[i], applied, t);
        const uint64_t mark = s ? ring_mark_find(&h->m.st, s, NODE_STREAM) : 0;
        const uint64_t at = mark ? ring_mark_at(&h->m.st, mark)->position : 0;
        if (!node_ring_totals(&h->nodes[i], at, t))
            return fault(h, "node %u: its ring is read to %llu, where no item ends", i,
                         (unsigned long long)at);
    }
    return true;
}

static unsigned otlp_domain(const struct history *h)
{
    return h->m.options.domains - 1;
}

/* Over the domains of the nodes. */
static uint64_t own_sum(struct history *h, enum own_metric metric, unsigned each, unsigned offset)
{
    uint64_t sum = 0;
    for (unsigned d = 0; d < otlp_domain(h); d++)
        sum += own_get(&h->m.pl.own, metric, d * each + offset);
    return sum;
}

static bool may_drop(const struct history *h, unsigned why)
{
    return why == DROP_NOT_FINITE || why == DROP_SAMPLED || (h->hungry && why == DROP_LIMIT) ||
           (h->tight &&
            (why == DROP_SERIES_FULL || why == DROP_RING_FULL || why == DROP_METRICS_FULL));
}

static bool check_ledger(struct history *h, const struct totals *t)
{
    uint64_t dropped = 0;
    for (unsigned why = 0; why < DROP_MAX; why++)
        dropped += own_sum(h, OWN_DROPPED, DROP_MAX, why);
    const uint64_t received = own_sum(h, OWN_RECEIVED, 1, 0);
    const uint64_t applied = own_sum(h, OWN_APPLIED, 1, 0);
    if (received != t->items || received != applied + dropped)
        return fault(h, "ledger: %llu items, %llu received, %llu applied, %llu dropped",
                     (unsigned long long)t->items, (unsigned long long)received,
                     (unsigned long long)applied, (unsigned long long)dropped);
    const uint64_t bad = own_sum(h, OWN_DROPPED, DROP_MAX, DROP_NOT_FINITE);
    if (h->tight ? bad > t->bad : bad != t->bad)
        return fault(h, "ledger: %llu not finite of %llu", (unsigned long long)bad,
                     (unsigned long long)t->bad);
    for (unsigned why = 0; why < DROP_MAX; why++)
        if (!may_drop(h, why) && own_sum(h, OWN_DROPPED, DROP_MAX, why) != 0)
            return fault(h, "ledger: items dropped as %s", drop_name(why));
    return true;
}

static uint64_t sent(const struct history *h, enum otlp_signal signal, bool answered)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < SENDERS; i++)
        n += answered ? h->senders[i].answered[signal] : h->senders[i].attempted[signal];
    return n;
}

/* Nobody can tell how much of a request that was never answered is there. */
static bool between(const struct history *h, uint64_t n, uint64_t answered, uint64_t attempted)
{
    return (h->tight || n >= answered) && n <= attempted;
}

static bool check_rings(struct history *h, const struct totals *t)
{
    const struct ring_head *r = h->m.st.head->ring;
    const uint64_t left_out =
        own_sum(h, OWN_DROPPED, DROP_MAX, DROP_RING_FULL) +
        own_sum(h, OWN_DROPPED, DROP_MAX, DROP_LIMIT) + /* what could not be redacted */
        own_sum(h, OWN_DROPPED, DROP_MAX, DROP_SAMPLED) +
        own_get(&h->m.pl.own, OWN_DROPPED, own_drop_index(otlp_domain(h), DROP_SAMPLED));
    const uint64_t all = r[RING_EVENTS].head_seq + r[RING_SPANS].head_seq + left_out;
    const uint64_t ours = t->events + t->spans;
    if (all < ours || !between(h, all - ours, sent(h, OTLP_TRACES, true) + sent(h, OTLP_LOGS, true),
                               sent(h, OTLP_TRACES, false) + sent(h, OTLP_LOGS, false)))
        return fault(h, "rings: %llu events of %llu, %llu spans of %llu",
                     (unsigned long long)r[RING_EVENTS].head_seq, (unsigned long long)t->events,
                     (unsigned long long)r[RING_SPANS].head_seq, (unsigned long long)t->spans);
    const uint64_t redacted = own_redacted(&h->m.pl.own, REDACT_ATTRIBUTE);
    const bool short_of = h->hungry || own_sum(h, OWN_DROPPED, DROP_MAX, DROP_SAMPLED) > 0;
    if (short_of ? redacted > t->secrets : redacted != t->secrets)
        return fault(h, "redacted: %llu of %llu", (unsigned long long)redacted,
                     (unsigned long long)t->secrets);
    return true;
}

/* What became of each named event by rules. */
static bool check_rules(struct history *h, const struct totals *t)
{
    const uint64_t matches = own_get(&h->m.pl.own, OWN_RULE_MATCHES, 0);
    const uint64_t failures = own_get(&h->m.pl.own, OWN_RULE_FAILURES, 0);
    const uint64_t most = MACHINE_RULES * t->named;
    if (h->tight || h->hungry ? matches + failures > most : failures > 0 || matches != most)
        return fault(h, "rules: %llu matches and %llu failures of %llu",
                     (unsigned long long)matches, (unsigned long long)failures,
                     (unsigned long long)most);
    return true;
}

/* The ledger of the consumer, and the components that it has made of the reports. */
static bool check_watch(struct history *h)
{
    struct consumer_view c;
    struct part_view p;
    uint64_t reports = 0;
    consumer_read(&h->m.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    for (uint32_t i = 1; i < part_ids(&h->m.st); i++)
        reports += part_read(&h->m.st, i, &p) ? p.reports : 0;
    if (c.appended != c.read + c.overrun + c.waiting ||
        c.read != c.delivered + c.filtered + c.failed || reports != c.delivered ||
        (c.failed && !h->tight))
        return fault(h,
                     "watch: %llu appended, %llu read, %llu overrun, %llu delivered, %llu failed",
                     (unsigned long long)c.appended, (unsigned long long)c.read,
                     (unsigned long long)c.overrun, (unsigned long long)c.delivered,
                     (unsigned long long)c.failed);
    return true;
}

/* With too little memory an item may be dropped, but none may count twice. */
static bool agrees(const struct history *h, double is, double should)
{
    return h->tight ? is <= should : is == should;
}

static bool check_values(struct history *h, const struct totals *t)
{
    struct sample v;
    if (sample_of(h, "sim_ruled", &v) &&
        (h->hungry ? v.d > (double)t->named : !agrees(h, v.d, (double)t->named)))
        return fault(h, "ruled: %g of %llu", v.d, (unsigned long long)t->named);
    if (sample_of(h, "sim_count", &v) && !agrees(h, v.d, (double)t->count))
        return fault(h, "count: %llu of %llu", (unsigned long long)v.u,
                     (unsigned long long)t->count);
    if (sample_of(h, "sim_tally", &v) && !agrees(h, v.d, (double)t->tally))
        return fault(h, "tally: %llu of %llu", (unsigned long long)v.u,
                     (unsigned long long)t->tally);
    if (sample_of(h, "sim_cost", &v) && !agrees(h, v.d, t->sum))
        return fault(h, "cost: %g of %g", v.d, t->sum);
    for (int i = 0; sample_of(h, "sim_size", &v) && i < 4; i++)
        if (!agrees(h, (double)v.buckets[i], (double)t->bucket[i]))
            return fault(h, "bucket %d: %llu of %llu", i, (unsigned long long)v.buckets[i],
                         (unsigned long long)t->bucket[i]);
    return true;
}

/* The ledger of what came by OTLP. */
static bool check_otlp_ledger(struct history *h)
{
    const unsigned d = otlp_domain(h);
    const uint64_t received = own_get(&h->m.pl.own, OWN_RECEIVED, d);
    uint64_t accounted = own_get(&h->m.pl.own, OWN_APPLIED, d), answered = 0, attempted = 0;
    for (unsigned why = 0; why < DROP_MAX; why++) {
        const uint64_t n = own_get(&h->m.pl.own, OWN_DROPPED, own_drop_index(d, why));
        accounted += n;
        if (n && why != DROP_SAMPLED && !(h->tight && may_drop(h, why)))
            return fault(h, "otlp: %llu items dropped as %s", (unsigned long long)n,
                         drop_name(why));
    }
    for (int signal = 0; signal < OTLP_SIGNALS; signal++) {
        answered += sent(h, (enum otlp_signal)signal, true);
        attempted += sent(h, (enum otlp_signal)signal, false);
    }
    if (received != accounted || !between(h, received, answered, attempted))
        return fault(h, "otlp: %llu received, %llu accounted for, %llu to %llu sent",
                     (unsigned long long)received, (unsigned long long)accounted,
                     (unsigned long long)answered, (unsigned long long)attempted);
    return true;
}

/* A metric of a sender: never more than it has counted, however often it was sent, and
 * when all is `done` not less, unless a point was only where a stream goes on from. */
static bool check_sent(struct history *h, const struct sender *s, const char *metric, double is,
                       double counted, bool done)
{
    const bool exact = done && !h->tight && own_get(&h->m.pl.own, OWN_OTLP_BASELINES, 0) == 0;
    if (exact ? is != counted : is > counted)
        return fault(h, "sender %u: %s is %g of %g", s->number, metric, is, counted);
    return true;
}

static bool check_sender(struct history *h, const struct sender *s, bool done)
{
    const struct sender_values *v = &s->v, *b = &s->before;
    struct sample x;
    char family[64];
    sender_family(s, "total", family, sizeof family);
    bool good = !sample_of(h, family, &x) ||
                check_sent(h, s, "total", x.d, (double)(v->count + b->count), done);
    sender_family(s, "cost", family, sizeof family);
    good = good &&
           (!sample_of(h, family, &x) || check_sent(h, s, "cost", x.d, v->cost + b->cost, done));
    sender_family(s, "size", family, sizeof family);
    for (unsigned i = 0; good && i < SENDER_BUCKETS && sample_of(h, family, &x); i++)
        good = check_sent(h, s, "size", (double)x.buckets[i], (double)(v->bucket[i] + b->bucket[i]),
                          done);
    sender_family(s, "scaled", family, sizeof family);
    return good && (!sample_of(h, family, &x) || check_sent(h, s, "scaled", (double)x.count,
                                                            (double)(v->scaled + b->scaled), done));
}

static bool check_senders(struct history *h, bool done)
{
    bool good = check_otlp_ledger(h);
    for (unsigned i = 0; good && i < SENDERS; i++)
        good = check_sender(h, &h->senders[i], done);
    return good;
}

static bool check_follower(struct history *h)
{
    return follower_check(&h->m.follower, &h->m.st) || fault(h, "%s", h->m.follower.wrong);
}

static bool check(struct history *h, bool done)
{
    struct totals t;
    char why[128];
    if (store_check(&h->m.st, why, sizeof why) < 0)
        return fault(h, "store: %s", why);
    return expected(h, &t) && check_ledger(h, &t) && check_rings(h, &t) && check_rules(h, &t) &&
           check_watch(h) && check_follower(h) && check_values(h, &t) && check_senders(h, done);
}

/* ---- what happens ---- */

/* The daemon comes back, sometimes to be killed at once. */
static bool revive(struct history *h)
{
    for (int tries = 0; !h->m.alive; tries++) {
        if (tries < 5 && rng_chance(&h->rng, 20))
            machine_doom(&h->m, 3000);
        if (!machine_start(&h->m))
            return fault(h, "start: %s", h->m.wrong);
        if (h->m.alive)
            h->m.points_left = 0;
    }
    return check(h, false);
}

/* The series whose values are compared may not expire. */
static void pin(struct history *h)
{
    static const char *const families[] = {"sim_count", "sim_tally", "sim_cost", "sim_size",
                                           "sim_ruled"};
    struct metric_view m;
    static const char *const sent_metrics[] = {"total", "cost", "size", "scaled"};
    char family[64];
    for (unsigned i = 0; h->m.alive && i < sizeof families / sizeof *families; i++)
        if (metric_find(&h->m.st, str_of(families[i]), &m) && m.first)
            series_pin(&h->m.st, m.first, true);
    for (unsigned i = 0; h->m.alive && i < 4 * SENDERS; i++) {
        sender_family(&h->senders[i / 4], sent_metrics[i % 4], family, sizeof family);
        if (metric_find(&h->m.st, str_of(family), &m) && m.first)
            series_pin(&h->m.st, m.first, true);
    }
    if (h->m.alive)
        store_commit(&h->m.st);
}

static void pass_time(struct history *h)
{
    const uint64_t ns = rng_below(&h->rng, 2000) * NS_PER_MS;
    h->m.now.mono += ns;
    h->m.now.wall += ns;
    pin(h);
    machine_tick(&h->m);
    machine_watch(&h->m, rng_below(&h->rng, 300));
}

static void reload(struct history *h)
{
    machine_reload(&h->m, 2 + rng_below(&h->rng, 30), (1 + rng_below(&h->rng, 20)) * NS_PER_S);
}

/* It comes back, and is welcome, before the daemon has read what it had written. */
static void take_over(struct history *h, struct node *n)
{
    node_send(n, &h->m, 30000);
    node_leave(n, &h->m);
    node_connect(n, &h->m);
    node_send(n, &h->m, 1000);
    machine_read(&h->m, n->cable, 1000);
    node_receive(n, &h->m, 1000);
    node_send(n, &h->m, rng_below(&h->rng, 30000));
}

static void step(struct history *h)
{
    struct node *n = &h->nodes[rng_below(&h->rng, NODES)];
    if (rng_chance(&h->rng, 10))
        machine_follow(&h->m);
    if (rng_chance(&h->rng, 30))
        machine_read_ring(&h->m, n->cable, rng_below(&h->rng, 4096), true);
    if (rng_chance(&h->rng, 25))
        sender_step(&h->senders[rng_below(&h->rng, SENDERS)], &h->m, rng_below(&h->rng, 1500));
    const uint32_t dice = rng_below(&h->rng, 100);
    if (dice < 25)
        node_emit(n, rng_chance(&h->rng, 10) ? 2000 : 50);
    else if (dice < 45)
        node_send(n, &h->m, rng_below(&h->rng, 30000));
    else if (dice < 65)
        machine_read(&h->m, rng_below(&h->rng, MACHINE_CABLES), rng_below(&h->rng, 16384));
    else if (dice < 78)
        node_receive(n, &h->m, rng_below(&h->rng, 400));
    else if (dice < 86)
        node_connect(n, &h->m);
    else if (dice < 87)
        node_leave(n, &h->m);
    else if (dice < 88)
        node_lose(n, &h->m, rng_below(&h->rng, 3000));
    else if (dice < 90)
        take_over(h, n);
    else if (dice < 94)
        machine_doom(&h->m, rng_chance(&h->rng, 50) ? 200 : 5000);
    else if (dice < 98)
        pass_time(h);
    else if (rng_chance(&h->rng, 90))
        reload(h);
    else
        node_die(n, &h->m);
}

static bool drained(struct history *h)
{
    for (unsigned i = 0; i < NODES; i++)
        if (!h->nodes[i].dead &&
            (producer_waiting(&h->nodes[i].p) > 0 || !node_ring_read(&h->nodes[i])))
            return false;
    for (unsigned i = 0; i < MACHINE_CABLES; i++)
        if (h->m.cables[i].open && (h->m.cables[i].up.n > 0 || h->m.cables[i].kept))
            return false;
    return true;
}

/* No more kills, and memory enough: everything that was emitted arrives. */
static bool drain(struct history *h)
{
    h->m.points_left = 0;
    h->m.pages_left = UINT32_MAX;
    h->m.famine = 0;
    for (int round = 0; !drained(h); round++) {
        if (round == DRAIN_ROUNDS)
            return fault(h, "the producers never got rid of their items");
        for (unsigned i = 0; i < NODES; i++) {
            struct node *n = &h->nodes[i];
            node_connect(n, &h->m);
            node_send(n, &h->m, 60000);
            machine_read(&h->m, i, 60000);
            machine_read(&h->m, i ^ NODE_CABLES, 60000);
            machine_read_ring(&h->m, n->cable, 60000, round < PATIENT_ROUNDS);
            node_receive(n, &h->m, 60000);
        }
    }
    for (unsigned i = 0; i < SENDERS; i++)
        sender_drain(&h->senders[i], &h->m);
    machine_watch(&h->m, UINT32_MAX);
    machine_follow_all(&h->m);
    return true;
}

/* Some daemons sample, at the door or behind it; some have too little memory. */
static void choose(struct history *h)
{
    struct sampling_options *o = &h->m.sampling_options;
    sampling_defaults(o);
    o->enabled = rng_chance(&h->rng, 60);
    o->window = rng_chance(&h->rng, 50) ? 0 : (1 + rng_below(&h->rng, 5)) * NS_PER_S;
    o->traces = 1 + rng_below(&h->rng, 40);
    o->rate[TIER_NORMAL] = rng_below(&h->rng, 101) / 100.0;
    o->spans_per_second = rng_chance(&h->rng, 50) ? 50 : 0;
    h->hungry = rng_chance(&h->rng, 30);
    h->m.famine = h->hungry ? 1 + rng_below(&h->rng, 20000) : 0;
    h->m.hunger.state = rng_next(&h->rng);
}

static bool live(struct history *h, uint32_t steps)
{
    choose(h);
    if (!revive(h))
        return false;
    h->tight = rng_chance(&h->rng, 25);
    if (h->tight)
        machine_squeeze(&h->m, rng_below(&h->rng, rng_chance(&h->rng, 50) ? 40 : 400),
                        rng_below(&h->rng, 40000));
    for (uint32_t i = 0; i < steps; i++) {
        if (!h->m.alive && !revive(h))
            return false;
        step(h);
    }
    return (h->m.alive || revive(h)) && drain(h) && check(h, true);
}

/* ---- histories ---- */

struct outcome {
    uint64_t kills, items, duplicates, dropped, overrun, sampled, starved;
    uint64_t otlp, again, exact; /* OTLP items, those sent again, histories without baselines */
};

/* What the history went through, so that a blind one can be told from a good one. */
static void count(struct history *h, struct outcome *sum)
{
    sum->kills += h->m.kills;
    sum->starved += h->m.starved;
    sum->overrun += h->m.follower.overrun;
    for (unsigned i = 0; i < NODES; i++)
        sum->items += h->nodes[i].nlog;
    for (int signal = 0; signal < OTLP_SIGNALS; signal++) {
        sum->otlp += sent(h, (enum otlp_signal)signal, true);
        sum->again += sent(h, (enum otlp_signal)signal, false);
    }
    if (!h->m.alive)
        return;
    sum->exact += !h->tight && own_get(&h->m.pl.own, OWN_OTLP_BASELINES, 0) == 0;
    sum->sampled += own_sum(h, OWN_DROPPED, DROP_MAX, DROP_SAMPLED);
    sum->duplicates += own_sum(h, OWN_DUPLICATES, 1, 0);
    for (unsigned why = 0; why < DROP_MAX; why++)
        sum->dropped += why == DROP_NOT_FINITE || why == DROP_SAMPLED
                            ? 0
                            : own_sum(h, OWN_DROPPED, DROP_MAX, why);
}

/* Empty text in `wrong` when everything held. */
static void run(uint64_t seed, uint32_t steps, enum mutant mutant, char wrong[256],
                struct outcome *sum)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->rng.state = seed;
    machine_init(&h->m, &h->rng, mutant);
    for (unsigned i = 0; i < NODES; i++) {
        node_init(&h->nodes[i], &h->rng, i);
        if (rng_chance(&h->rng, 50))
            node_share(&h->nodes[i]);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        sender_init(&h->senders[i], &h->rng, i);
    live(h, steps);
    memcpy(wrong, h->wrong, 256);
    count(h, sum);
    for (unsigned i = 0; i < NODES; i++)
        node_fini(&h->nodes[i]);
    for (unsigned i = 0; i < SENDERS; i++)
        sender_fini(&h->senders[i]);
    machine_fini(&h->m);
    free(h);
}

static unsigned run_plain(uint64_t seed, uint64_t histories, uint32_t steps)
{
    struct outcome sum = {0};
    char wrong[256];
    unsigned failed = 0;
    for (uint64_t s = seed; s < seed + histories; s++) {
        run(s, steps, MUTANT_NONE, wrong, &sum);
        if (wrong[0]) {
            printf("seed %llu: %s (again with --seed %llu --count 1 --steps %u)\n",
                   (unsigned long long)s, wrong, (unsigned long long)s, steps);
            failed++;
        }
    }
    printf("%llu histories, %llu items, %llu sent twice, %llu without room, %llu kills, "
           "%llu records overrun, %llu sampled, %llu allocations failed\n",
           (unsigned long long)histories, (unsigned long long)sum.items,
           (unsigned long long)sum.duplicates, (unsigned long long)sum.dropped,
           (unsigned long long)sum.kills, (unsigned long long)sum.overrun,
           (unsigned long long)sum.sampled, (unsigned long long)sum.starved);
    printf("otlp: %llu items, %llu with those sent again, %llu histories without a baseline\n",
           (unsigned long long)sum.otlp, (unsigned long long)sum.again,
           (unsigned long long)sum.exact);
    return failed;
}

/* The same seeds again, for what is forwarded. */
static unsigned run_forward(uint64_t seed, uint64_t histories, uint32_t steps)
{
    struct forward_sum sum = {0};
    char wrong[256];
    unsigned failed = 0;
    for (uint64_t s = seed; s < seed + histories; s++) {
        forward_history(s, steps * 2, MUTANT_NONE, wrong, &sum);
        if (wrong[0]) {
            printf("forward, seed %llu: %s (again with --seed %llu --count 1 --steps %u)\n",
                   (unsigned long long)s, wrong, (unsigned long long)s, steps);
            failed++;
        }
    }
    printf("forward: %llu items, %llu delivered, %llu again, %llu refused, %llu spooled, %llu "
           "dropped there, %llu overrun, %llu kills\n",
           (unsigned long long)sum.items, (unsigned long long)sum.delivered,
           (unsigned long long)sum.again, (unsigned long long)sum.refused,
           (unsigned long long)sum.spooled, (unsigned long long)sum.dropped,
           (unsigned long long)sum.overrun, (unsigned long long)sum.kills);
    return failed;
}

/* Whether leaving these changes out of the log is found. */
static bool finds(enum mutant mutant, uint64_t seed, uint64_t count, uint32_t steps)
{
    struct outcome sum = {0};
    char wrong[256];
    for (uint64_t s = seed; s < seed + count; s++) {
        run(s, steps, mutant, wrong, &sum);
        if (wrong[0]) {
            printf("mutant %s: found by seed %llu: %s\n", mutant_name(mutant),
                   (unsigned long long)s, wrong);
            return true;
        }
    }
    printf("mutant %s: NOT FOUND in %llu histories\n", mutant_name(mutant),
           (unsigned long long)count);
    return false;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

int main(int argc, char **argv)
{
    const uint64_t seed = strtoull(option(argc, argv, "--seed", "1"), NULL, 10);
    const uint64_t count = strtoull(option(argc, argv, "--count", "100"), NULL, 10);
    const uint32_t steps = (uint32_t)strtoul(option(argc, argv, "--steps", "600"), NULL, 10);
    const char *mutant = option(argc, argv, "--mutant", "");
    unsigned passed = 0, failed = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--spool") == 0)
            return spool_sim(seed, count, steps < 600 ? steps : 60, mutant);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--domains") == 0)
            return domains_sim(seed, count, steps, mutant);
    if (!mutant[0]) {
        failed = run_plain(seed, count, steps);
        failed += run_forward(seed, count, steps);
        passed = 2 * (unsigned)count - failed;
    }
    for (int i = MUTANT_NONE + 1; i < MUTANT_MAX && mutant[0]; i++) {
        if (strcmp(mutant, "all") != 0 && strcmp(mutant, mutant_name((enum mutant)i)) != 0)
            continue;
        if (i ==
            MUTANT_DOMAINS) /* these histories have no breaker that opens: --domains finds it */
            continue;
        if (finds((enum mutant)i, seed, count, steps))
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
