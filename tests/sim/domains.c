#include "domains.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "node.h"
#include "pipeline/domain.h"
#include "pipeline/ring_share.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/session.h"
#include "wire/encode.h"

enum {
    GOODS = 2, /* nodes 0 and 1, each in the domain of its number */
    FLOOD = 2, /* a node, and its domain */
    VANDAL = 3,
    RATE = 400, /* items a second that each domain may send, in every other history */
    READ = 16384,
    FAULTS = 60,
    READS = 5, /* records that the reader of the ring gets to in a step */
    DRAIN_ROUNDS = 4000,
};

/* What is broken on purpose, to show that it would be noticed. */
#define BROKEN_TABLE(X)                                                                            \
    X(NOTHING, "nothing")                                                                          \
    X(LOG, "log")         /* the domains' records are not in the undo log */                       \
    X(SHARES, "shares")   /* a ring's readers protect nobody */                                    \
    X(RATES, "rates")     /* there is no limit to what a domain may send */                        \
    X(BREAKER, "breaker") /* it never opens */                                                     \
    X(MIXED, "mixed")     /* the flood is in the domain of one that behaves */                     \
    X(LEDGER, "ledger")   /* what a domain has dropped goes to another's ledger */

enum broken {
#define X(sym, word) BROKEN_##sym,
    BROKEN_TABLE(X)
#undef X
        BROKEN_MAX
};

static const char *const broken_names[BROKEN_MAX] = {
#define X(sym, word) word,
    BROKEN_TABLE(X)
#undef X
};

static const char *const services[] = {"good0", "good1", "flood", "vandal"};

struct vandal {
    uint8_t session[16];
    uint64_t next;
};

struct history {
    struct rng rng;
    struct machine m;
    enum broken broken;
    struct node nodes[GOODS + 1];
    struct vandal vandal;
    uint64_t began, starts;
    bool draining;  /* no more kills */
    uint64_t rate;  /* 0: no limit, so that the rings get full */
    uint64_t trips; /* of the vandal's breaker, seen so far */
    char wrong[256];
};

struct sum {
    uint64_t items, limited, shared, opened, kills;
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

/* ---- what has to hold ---- */

static uint64_t own(struct history *h, enum own_metric metric, unsigned d)
{
    return own_get(&h->m.pl.own, metric, d);
}

static uint64_t drops(struct history *h, unsigned d, enum drop_reason why)
{
    return own(h, OWN_DROPPED, own_drop_index(d, why));
}

/* received = applied + dropped, of each domain by itself. */
static bool check_ledger(struct history *h, unsigned d)
{
    uint64_t accounted = own(h, OWN_APPLIED, d);
    for (unsigned why = 0; why < DROP_MAX; why++)
        accounted += drops(h, d, (enum drop_reason)why);
    return own(h, OWN_RECEIVED, d) == accounted ||
           fault(h, "domain %u: %llu received, %llu accounted for", d,
                 (unsigned long long)own(h, OWN_RECEIVED, d), (unsigned long long)accounted);
}

/* The sum of a counter over the series of one service. */
static uint64_t counted(struct history *h, const char *family, const char *service)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    uint64_t sum = 0;
    if (!metric_find(&h->m.st, str_of(family), &m))
        return 0;
    for (uint32_t i = m.first; i && series_read(&h->m.st, i, &s); i = s.next) {
        if (!str_eq(labels_get(s.labels, STR("service_name")), str_of(service)))
            continue;
        series_sample(&h->m.st, &m, &s, &v);
        sum += v.u;
    }
    return sum;
}

/* A producer's items are in its own domain, each once. */
static bool check_node(struct history *h, unsigned i)
{
    struct totals t = {0};
    const uint32_t s = session_find(&h->m.st, h->nodes[i].p.session);
    const uint64_t applied = s ? session_at(&h->m.st, s)->applied : 0;
    if (applied > h->nodes[i].nlog)
        return fault(h, "%s: %llu of %llu", services[i], (unsigned long long)applied,
                     (unsigned long long)h->nodes[i].nlog);
    if (own(h, OWN_RECEIVED, i) != applied)
        return fault(h, "%s: %llu received of %llu", services[i],
                     (unsigned long long)own(h, OWN_RECEIVED, i), (unsigned long long)applied);
    node_totals(&h->nodes[i], applied, &t);
    const uint64_t count = counted(h, "sim_count", services[i]);
    const bool limited = drops(h, i, DROP_RATE_LIMITED) > 0;
    return (limited ? count <= t.count : count == t.count) ||
           fault(h, "%s: %llu counted of %llu", services[i], (unsigned long long)count,
                 (unsigned long long)t.count);
}

/* Nothing that the others do costs one that behaves an item, its place, or time. */
static bool check_isolation(struct history *h, unsigned d)
{
    for (unsigned why = 0; why < DROP_MAX; why++)
        if (why != DROP_NOT_FINITE && drops(h, d, (enum drop_reason)why))
            return fault(h, "%s lost %llu items as %s", services[d],
                         (unsigned long long)drops(h, d, (enum drop_reason)why), drop_name(why));
    if (store_domain(&h->m.st, d)->trips || own(h, OWN_DOMAIN_REFUSED, d))
        return fault(h, "%s was refused", services[d]);
    return true;
}

/* A reader that moves has read, of those that behave, all that is not in the ring. */
static bool check_ring(struct history *h)
{
    struct consumer_view c;
    consumer_read(&h->m.st, RING_EVENTS, CONSUMER_HEALTH, &c);
    return c.overrun == 0 || fault(h, "%llu records were pushed out before they were read",
                                   (unsigned long long)c.overrun);
}

/* No more than its rate, a burst for each life of the daemon, and the frames in hand. */
static bool check_rate(struct history *h, unsigned d)
{
    const uint64_t time = h->m.now.mono - h->began;
    const uint64_t most =
        h->rate * (time / NS_PER_S + 2) + h->starts * (h->rate + READ / PROTO_UPDATE);
    return h->rate == 0 || own(h, OWN_APPLIED, d) <= most ||
           fault(h, "%s: %llu items applied of %llu", services[d],
                 (unsigned long long)own(h, OWN_APPLIED, d), (unsigned long long)most);
}

/* What the record says of itself agrees, and it never goes back. */
static bool check_breaker(struct history *h, unsigned d)
{
    const struct domain_rec *r = store_domain(&h->m.st, d);
    const enum domain_state state = domain_state(&h->m.st, d);
    const bool away = state != DOMAIN_CLOSED;
    if ((r->opened != 0) != away || r->trips < r->returns || (away && r->trips == r->returns) ||
        away != (domain_cause(&h->m.st, d) != DOMAIN_NO_CAUSE) ||
        away != (r->state >> DOMAIN_TRIES_SHIFT != 0))
        return fault(h, "domain %u: %s with %llu openings and %llu returns", d,
                     domain_state_name(state), (unsigned long long)r->trips,
                     (unsigned long long)r->returns);
    if (d == VANDAL && r->trips < h->trips)
        return fault(h, "an opening is forgotten");
    if (d == VANDAL)
        h->trips = r->trips;
    const uint64_t faulty = h->m.pl.domains.now[d].faulty; /* in the window */
    if (d == VANDAL && faulty > FAULTS && state == DOMAIN_CLOSED)
        return fault(h, "%llu malformed items opened nothing", (unsigned long long)faulty);
    return true;
}

/* No time is counted twice; all of it is within the longest window. */
static bool check_available(struct history *h, unsigned d)
{
    const struct domain_rec *r = store_domain(&h->m.st, d);
    uint64_t sum = 0;
    for (unsigned i = AVAILABLE_HOUR + AVAILABLE_DAY; i < AVAILABLE_BUCKETS; i++)
        sum += r->available[i];
    return sum <= r->settled - r->begun ||
           fault(h, "domain %u was available for %llu of %llu ns", d, (unsigned long long)sum,
                 (unsigned long long)(r->settled - r->begun));
}

static bool check(struct history *h)
{
    char why[128];
    if (store_check(&h->m.st, why, sizeof why) < 0)
        return fault(h, "store: %s", why);
    bool good = check_ring(h);
    for (unsigned d = 0; good && d < h->m.options.domains; d++)
        good =
            check_ledger(h, d) && check_breaker(h, d) && check_available(h, d) && check_rate(h, d);
    for (unsigned i = 0; good && i <= FLOOD; i++)
        good = check_node(h, i);
    for (unsigned i = 0; good && i < GOODS; i++)
        good = check_isolation(h, i);
    return good;
}

/* ---- the daemon ---- */

static void tick(void *arg)
{
    struct history *h = arg;
    domain_tick(&h->m.pl, h->m.now);
    ring_share_tick(&h->m.pl, h->m.now);
}

static void pass_time(struct history *h)
{
    const uint64_t ns = rng_below(&h->rng, 1000) * NS_PER_MS;
    h->m.now.mono += ns;
    h->m.now.wall += ns;
    if (rng_chance(&h->rng, 10) && !h->draining)
        machine_doom(&h->m, 60);
    (void)machine_do(&h->m, tick, h);
}

static unsigned domain_of(const struct history *h, unsigned cable)
{
    const struct cable *c = &h->m.cables[cable];
    return c->link.state == LINK_OPEN ? c->link.domain : h->m.options.domains;
}

/* As the intake does: what is over its budget is read later, and when all of a domain is
 * read it may burst again. */
static void serve(struct history *h, unsigned cable)
{
    struct cable *c = &h->m.cables[cable];
    if (!h->m.alive || !c->open || (c->up.n == 0 && !c->kept))
        return;
    const unsigned d = domain_of(h, cable);
    if (c->link.state == LINK_OPEN && !c->kept) {
        if (domain_pace(&h->m.pl, d, h->m.now) == DOMAIN_LATER)
            return;
        domain_read(&h->m.pl, d, c->up.n < READ ? c->up.n : READ, h->m.now);
    }
    machine_read(&h->m, cable, READ);
    if (h->m.alive && d < h->m.options.domains && c->up.n == 0)
        domain_relieved(&h->m.pl, d);
}

static bool revive(struct history *h)
{
    while (!h->m.alive) {
        h->starts++;
        if (rng_chance(&h->rng, 20))
            machine_doom(&h->m, 3000);
        if (!machine_start(&h->m))
            return fault(h, "start: %s", h->m.wrong);
        if (h->m.alive)
            h->m.points_left = 0;
    }
    return check(h);
}

/* ---- the vandal ---- */

static void begin_vandal(struct history *h)
{
    struct cable *c = &h->m.cables[VANDAL];
    struct hello hello = {
        .version = PROTO_VERSION, .first = 1, .next = 1, .service = str_of(services[VANDAL])};
    if (!machine_connect(&h->m, VANDAL))
        return;
    for (size_t i = 0; i < sizeof h->vandal.session; i++)
        h->vandal.session[i] = (uint8_t)(1 + rng_below(&h->rng, 255));
    memcpy(hello.session, h->vandal.session, sizeof hello.session);
    encode_hello(&c->up, &hello);
    h->vandal.next = 1;
}

/* Frames of events of which none can be read, and now and then one that is none at all. */
static void vandalize(struct history *h)
{
    struct cable *c = &h->m.cables[VANDAL];
    if (!c->open)
        begin_vandal(h);
    if (!c->open || c->up.n > READ)
        return;
    for (uint32_t i = rng_below(&h->rng, 40); i > 0; i--) {
        const size_t at = encode_batch(&c->up, FRAME_EVENT, h->vandal.next);
        buf_add(&c->up, "\xff\xff\xff", 3);
        encode_batch_end(&c->up, at, 1);
        h->vandal.next++;
    }
    if (rng_chance(&h->rng, 5))
        buf_add(&c->up, "\x01\x00\x00\x00\xee\x00\x00\x00\x00", 9);
}

/* ---- what happens ---- */

static void step(struct history *h)
{
    const uint32_t dice = rng_below(&h->rng, 100);
    struct node *good = &h->nodes[rng_below(&h->rng, GOODS)], *flood = &h->nodes[FLOOD];
    if (dice < 20) {
        node_emit(good, 20);
    } else if (dice < 35) {
        node_connect(good, &h->m);
        node_send(good, &h->m, rng_below(&h->rng, 8000));
    } else if (dice < 50) {
        node_emit(flood, 3000);
        node_connect(flood, &h->m);
        node_send(flood, &h->m, 60000);
        for (int i = 0; i < 4; i++)
            serve(h, flood->cable);
        node_receive(flood, &h->m, 60000);
    } else if (dice < 60) {
        vandalize(h);
    } else if (dice < 85) {
        serve(h, rng_below(&h->rng, MACHINE_CABLES));
    } else if (dice < 93) {
        for (unsigned i = 0; i <= FLOOD; i++)
            node_receive(&h->nodes[i], &h->m, 60000);
    } else if (dice < 98) {
        pass_time(h);
    } else {
        machine_doom(&h->m, rng_chance(&h->rng, 50) ? 200 : 5000);
    }
    machine_watch(&h->m, READS);
}

static bool drained(const struct history *h)
{
    for (unsigned i = 0; i <= FLOOD; i++)
        if (producer_waiting(&h->nodes[i].p) > 0)
            return false;
    return true;
}

/* No more kills and no more flood: everything arrives, or is told to be dropped. */
static bool drain(struct history *h)
{
    h->m.points_left = 0;
    h->draining = true;
    for (int round = 0; !drained(h); round++) {
        if (round == DRAIN_ROUNDS)
            return fault(h, "the producers never got rid of their items");
        for (unsigned i = 0; i <= FLOOD; i++) {
            node_connect(&h->nodes[i], &h->m);
            node_send(&h->nodes[i], &h->m, 60000);
            serve(h, i);
            serve(h, i ^ NODE_CABLES);
            node_receive(&h->nodes[i], &h->m, 60000);
        }
        machine_watch(&h->m, 1000);
        pass_time(h);
    }
    return true;
}

static bool live(struct history *h, uint32_t steps)
{
    if (!revive(h))
        return false;
    for (uint32_t i = 0; i < steps; i++) {
        if (!h->m.alive && !revive(h))
            return false;
        step(h);
        if (h->m.alive && i % 16 == 0 && !check(h))
            return false;
    }
    return (h->m.alive || revive(h)) && drain(h) && check(h);
}

/* ---- histories ---- */

static void nothing_audited(void *arg, const struct audit_act *act)
{
    (void)arg;
    (void)act;
}

static unsigned choose(void *arg, const struct peer *peer, struct str service, struct str asked)
{
    const struct history *h = arg;
    (void)peer;
    (void)asked;
    for (unsigned i = 0; i <= VANDAL; i++)
        if (str_eq(service, str_of(services[i])))
            return h->broken == BROKEN_MIXED && i == FLOOD ? 0 : i;
    return VANDAL;
}

static void configure(struct history *h)
{
    struct pipeline_options *o = &h->m.options;
    o->domains = VANDAL + 1;
    o->choose_domain = choose;
    o->choose_arg = h;
    o->series_idle = 100000 * NS_PER_S;
    o->reader_still = h->broken == BROKEN_SHARES ? 0 : 3600 * NS_PER_S;
    h->rate = rng_chance(&h->rng, 50) ? RATE : 0;
    o->domain.items = h->broken == BROKEN_RATES ? 0 : h->rate;
    o->domain.defer = 2 * NS_PER_S;
    o->domain.breaker = h->broken != BROKEN_BREAKER;
    o->domain.faults = FAULTS;
    o->domain.window = 5 * NS_PER_S;
    o->domain.rest = 2 * NS_PER_S;
    o->domain.probe = NS_PER_S;
}

static void run(uint64_t seed, uint32_t steps, enum broken broken, char wrong[256], struct sum *sum)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->rng.state = seed;
    h->broken = broken;
    machine_init(&h->m, &h->rng,
                 broken == BROKEN_LOG      ? MUTANT_DOMAINS
                 : broken == BROKEN_LEDGER ? MUTANT_CELLS
                                           : MUTANT_NONE);
    configure(h);
    h->began = h->m.now.mono;
    for (unsigned i = 0; i <= FLOOD; i++) {
        node_init(&h->nodes[i], &h->rng, i);
        h->nodes[i].p.service = str_of(services[i]);
    }
    live(h, steps);
    memcpy(wrong, h->wrong, sizeof h->wrong);
    sum->kills += h->m.kills;
    for (unsigned i = 0; i <= FLOOD; i++)
        sum->items += h->nodes[i].nlog;
    if (h->m.alive) {
        sum->limited += drops(h, FLOOD, DROP_RATE_LIMITED);
        sum->shared += drops(h, FLOOD, DROP_RING_SHARE);
        sum->opened += store_domain(&h->m.st, VANDAL)->trips;
    }
    for (unsigned i = 0; i <= FLOOD; i++)
        node_fini(&h->nodes[i]);
    machine_fini(&h->m);
    free(h);
}

static unsigned run_plain(uint64_t seed, uint64_t count, uint32_t steps)
{
    struct sum sum = {0};
    char wrong[256];
    unsigned failed = 0;
    for (uint64_t s = seed; s < seed + count; s++) {
        run(s, steps, BROKEN_NOTHING, wrong, &sum);
        if (!wrong[0])
            continue;
        printf("domains, seed %llu: %s (again with --domains --seed %llu --count 1 --steps %u)\n",
               (unsigned long long)s, wrong, (unsigned long long)s, steps);
        failed++;
    }
    printf(
        "domains: %llu items, %llu over the rate, %llu over a share, %llu openings, %llu kills\n",
        (unsigned long long)sum.items, (unsigned long long)sum.limited,
        (unsigned long long)sum.shared, (unsigned long long)sum.opened,
        (unsigned long long)sum.kills);
    return failed;
}

static bool finds(enum broken broken, uint64_t seed, uint64_t count, uint32_t steps)
{
    struct sum sum = {0};
    char wrong[256];
    for (uint64_t s = seed; s < seed + count; s++) {
        run(s, steps, broken, wrong, &sum);
        if (!wrong[0])
            continue;
        printf("mutant %s: found by seed %llu: %s\n", broken_names[broken], (unsigned long long)s,
               wrong);
        return true;
    }
    printf("mutant %s: NOT FOUND in %llu histories\n", broken_names[broken],
           (unsigned long long)count);
    return false;
}

int domains_sim(uint64_t seed, uint64_t count, uint32_t steps, const char *mutant)
{
    unsigned passed = 0, failed = 0;
    log_set_level(LOG_LEVEL_ERROR); /* a breaker that moves is a line each time */
    audit_set_sink(nothing_audited, NULL);
    if (!*mutant) {
        failed = run_plain(seed, count, steps);
        passed = (unsigned)count - failed;
    }
    for (int i = BROKEN_NOTHING + 1; i < BROKEN_MAX && *mutant; i++) {
        if (strcmp(mutant, "all") != 0 && strcmp(mutant, broken_names[i]) != 0)
            continue;
        const bool found = finds((enum broken)i, seed, count, steps);
        passed += found;
        failed += !found;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
