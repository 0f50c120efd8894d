#include "pipeline/domain.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "pipeline/domain_time.h"
#include "pipeline/pipeline.h"
#include "store/commit.h"

/* Two deaths that are further apart have nothing to do with each other. */
#define CRASH_ROW (60 * NS_PER_S)

/* When to come back to a domain that is drained: nobody knows until when. */
#define DRAIN_RETRY (5 * NS_PER_S)

void domain_defaults(struct domain_options *o)
{
    *o = (struct domain_options){
        .bytes = UINT64_C(1) << 30,
        .items = 100000000,
        .spans = 1000000,
        .defer = 5 * NS_PER_S,
        .breaker = true,
        .faults = 1000,
        .share = 0.5,
        .window = 10 * NS_PER_S,
        .rest = 10 * NS_PER_S,
        .rest_most = 300 * NS_PER_S,
        .probe = 10 * NS_PER_S,
        .probes = 8,
        .crashes = 3,
    };
}

/* ---- the record ---- */

static struct domain_rec *at(const struct store *st, unsigned d)
{
    struct domain_rec *r = store_domain(st, d);
    assert(r);
    return r;
}

enum domain_state domain_state(const struct store *st, unsigned d)
{
    const struct domain_rec *r = store_domain(st, d);
    const unsigned state = r ? (unsigned)(r->state & 0xff) : 0;
    return state < DOMAIN_STATES ? (enum domain_state)state : DOMAIN_CLOSED;
}

enum domain_cause domain_cause(const struct store *st, unsigned d)
{
    const struct domain_rec *r = store_domain(st, d);
    const unsigned cause = r ? (unsigned)(r->state >> DOMAIN_CAUSE_SHIFT & 0xff) : 0;
    return cause < DOMAIN_CAUSES ? (enum domain_cause)cause : DOMAIN_NO_CAUSE;
}

bool domain_drained(const struct store *st, unsigned d)
{
    const struct domain_rec *r = store_domain(st, d);
    return r && r->state >> DOMAIN_FLAGS_SHIFT & DOMAIN_DRAINED;
}

static unsigned tries_of(const struct domain_rec *r)
{
    return (unsigned)(r->state >> DOMAIN_TRIES_SHIFT);
}

static uint64_t word_of(enum domain_state state, enum domain_cause cause, bool drained,
                        unsigned tries)
{
    return (uint64_t)state | (uint64_t)cause << DOMAIN_CAUSE_SHIFT |
           (uint64_t)(drained ? DOMAIN_DRAINED : 0) << DOMAIN_FLAGS_SHIFT |
           (uint64_t)tries << DOMAIN_TRIES_SHIFT;
}

const char *domain_state_name(unsigned state)
{
    static const char *const names[DOMAIN_STATES] = {"closed", "half_open", "open"};
    return state < DOMAIN_STATES ? names[state] : "unknown";
}

const char *domain_cause_name(unsigned cause)
{
    static const char *const names[DOMAIN_CAUSES] = {"none", "faults", "crashes"};
    return cause < DOMAIN_CAUSES ? names[cause] : "unknown";
}

bool domain_aside(const struct store *st, unsigned d)
{
    return domain_state(st, d) != DOMAIN_CLOSED && domain_cause(st, d) == DOMAIN_CRASHES;
}

/* ---- saying it ---- */

/* What a peer asks for is audited where it asks. */
static void note(struct audit_who who, const char *what, unsigned d, const char *outcome)
{
    char object[32];
    if (who.peer)
        return;
    snprintf(object, sizeof object, "domain %u", d);
    const struct audit_act act = {.who = who, .what = what, .object = object, .outcome = outcome};
    audit_note(&act);
}

static const struct audit_who self = {.peer = false};

/* ---- moves ---- */

bool domain_moves(enum domain_state from, enum domain_state to)
{
    static const bool table[DOMAIN_STATES][DOMAIN_STATES] = {
        [DOMAIN_CLOSED] = {[DOMAIN_OPEN] = true},
        [DOMAIN_HALF_OPEN] = {[DOMAIN_CLOSED] = true, [DOMAIN_OPEN] = true},
        /* Closed: by domain_reset(). */
        [DOMAIN_OPEN] = {[DOMAIN_HALF_OPEN] = true, [DOMAIN_CLOSED] = true},
    };
    return table[from][to];
}

/* The one place where a breaker moves; the caller commits. */
static void set_state(struct store *st, unsigned d, enum domain_state to, enum domain_cause cause,
                      struct when now)
{
    struct domain_rec *r = at(st, d);
    const enum domain_state from = domain_state(st, d);
    const bool drained = domain_drained(st, d);
    unsigned tries = tries_of(r);
    assert(domain_moves(from, to));
    if (to == DOMAIN_OPEN) {
        tries++;
        STORE_ADD(st, r->trips, 1);
        if (from == DOMAIN_CLOSED)
            STORE_SET(st, r->opened, now.mono ? now.mono : 1);
    } else if (to == DOMAIN_CLOSED) {
        tries = 0;
        STORE_SET(st, r->recovery, now.mono > r->opened ? now.mono - r->opened : 0);
        STORE_SET(st, r->opened, 0);
        STORE_ADD(st, r->returns, 1);
    }
    STORE_SET(st, r->state, word_of(to, cause, drained, tries));
    STORE_SET(st, r->changed, now.mono);
}

static uint64_t rest_of(const struct domain_rec *r, const struct domain_options *o)
{
    uint64_t rest = o->rest;
    for (unsigned i = 1; i < tries_of(r) && rest < o->rest_most; i++)
        rest *= 2;
    return rest < o->rest_most ? rest : o->rest_most;
}

uint64_t domain_until(const struct store *st, const struct domain_options *o, unsigned d)
{
    const struct domain_rec *r = store_domain(st, d);
    switch (domain_state(st, d)) {
    case DOMAIN_OPEN:
        return r->changed + rest_of(r, o);
    case DOMAIN_HALF_OPEN:
        return r->changed + o->probe;
    default:
        return 0;
    }
}

/* ---- faults ---- */

bool domain_is_fault(enum drop_reason why)
{
    return why == DROP_MALFORMED || why == DROP_UTF8 || why == DROP_NAME || why == DROP_TORN;
}

static struct domain_now *now_of(struct pipeline *pl, unsigned d)
{
    assert(d < STORE_DOMAINS);
    return &pl->domains.now[d];
}

static void open_window(struct domain_now *n, struct when now)
{
    n->window = now.mono;
    n->came = n->faulty = 0;
}

void domain_did(struct pipeline *pl, unsigned d, uint64_t items, uint64_t faults)
{
    struct domain_now *n = now_of(pl, d);
    n->did += items;
    n->bad += faults;
}

/* While it is half-open a tenth is too much, and so is that share of little. */
static bool too_many(const struct pipeline *pl, unsigned d, const struct domain_now *w)
{
    const struct domain_options *o = &pl->options.domain;
    const bool probing = domain_state(pl->st, d) == DOMAIN_HALF_OPEN;
    const uint64_t limit = probing ? (o->faults + 9) / 10 : o->faults;
    return w->faulty >= limit && (double)w->faulty >= o->share * (double)w->came;
}

static void judge(struct pipeline *pl, unsigned d, struct when now)
{
    struct domain_now *w = now_of(pl, d);
    char why[96];
    if (!pl->options.domain.breaker || domain_state(pl->st, d) == DOMAIN_OPEN ||
        !too_many(pl, d, w))
        return;
    snprintf(why, sizeof why, "open: %llu faults in %llu items", (unsigned long long)w->faulty,
             (unsigned long long)w->came);
    set_state(pl->st, d, DOMAIN_OPEN, DOMAIN_FAULTS, now);
    store_commit(pl->st);
    open_window(w, now);
    log_with(LOG_LEVEL_WARN, "domain", LOG_FIELDS(LOG_U64("domain", d)),
             "domain %u is refused for %llu s: %s", d,
             (unsigned long long)(rest_of(at(pl->st, d), &pl->options.domain) / NS_PER_S),
             why + sizeof "open: " - 1);
    note(self, "domain.breaker", d, why);
}

void domain_turned(struct pipeline *pl, unsigned d, struct when now)
{
    struct domain_now *n = now_of(pl, d);
    if (n->did == 0)
        return;
    if (now.mono - n->window >= pl->options.domain.window)
        open_window(n, now);
    n->came += n->did;
    n->faulty += n->bad;
    domain_charge(pl, d, n->did, now);
    const bool look = n->bad > 0;
    n->did = n->bad = 0;
    if (look)
        judge(pl, d, now);
}

/* ---- crashes ---- */

bool domain_crashed(struct store *st, const struct domain_options *o, unsigned d, struct when now)
{
    struct domain_rec *r = at(st, d);
    const bool row = r->crashes && now.mono - r->crashed < CRASH_ROW;
    const bool probing = domain_aside(st, d);
    char why[96];
    STORE_SET(st, r->crashes, row ? r->crashes + 1 : 1);
    STORE_SET(st, r->crashed, now.mono);
    STORE_ADD(st, r->deaths, 1);
    const bool aside =
        o->crashes && domain_state(st, d) != DOMAIN_OPEN && (probing || r->crashes >= o->crashes);
    if (aside)
        set_state(st, d, DOMAIN_OPEN, DOMAIN_CRASHES, now);
    store_commit(st);
    if (!aside)
        return false;
    snprintf(why, sizeof why, "set aside: %llu daemons died with its input in hand",
             (unsigned long long)r->crashes);
    log_with(LOG_LEVEL_ERROR, "domain", LOG_FIELDS(LOG_U64("domain", d)),
             "domain %u is %s; it may try again in %llu s", d, why,
             (unsigned long long)(rest_of(r, o) / NS_PER_S));
    note(self, "domain.breaker", d, why);
    return true;
}

/* ---- time ---- */

static void end_rest(struct pipeline *pl, unsigned d, struct when now)
{
    struct store *st = pl->st;
    set_state(st, d, DOMAIN_HALF_OPEN, domain_cause(st, d), now);
    store_commit(st);
    open_window(now_of(pl, d), now);
    log_with(LOG_LEVEL_INFO, "domain", LOG_FIELDS(LOG_U64("domain", d)),
             "domain %u may try: its breaker is half-open", d);
    note(self, "domain.breaker", d, "half-open");
}

static void end_probe(struct pipeline *pl, unsigned d, struct when now)
{
    struct store *st = pl->st;
    set_state(st, d, DOMAIN_CLOSED, DOMAIN_NO_CAUSE, now);
    STORE_SET(st, at(st, d)->crashes, 0);
    store_commit(st);
    open_window(now_of(pl, d), now);
    log_with(LOG_LEVEL_INFO, "domain", LOG_FIELDS(LOG_U64("domain", d)),
             "domain %u is served again after %llu s", d,
             (unsigned long long)(at(st, d)->recovery / NS_PER_S));
    note(self, "domain.breaker", d, "closed");
}

void domain_init(struct pipeline *pl, struct when now)
{
    for (unsigned d = 0; d < pl->options.domains; d++)
        domain_settle(pl->st, d, now.mono, false);
    store_commit(pl->st);
}

static bool is_available(const struct store *st, unsigned d)
{
    return domain_state(st, d) == DOMAIN_CLOSED && !domain_drained(st, d);
}

void domain_tick(struct pipeline *pl, struct when now)
{
    for (unsigned d = 0; d < pl->options.domains; d++) {
        const enum domain_state state = domain_state(pl->st, d);
        domain_settle(pl->st, d, now.mono, is_available(pl->st, d));
        const uint64_t until = domain_until(pl->st, &pl->options.domain, d);
        if (state == DOMAIN_OPEN && now.mono >= until)
            end_rest(pl, d, now);
        else if (state == DOMAIN_HALF_OPEN && now.mono >= until)
            end_probe(pl, d, now);
    }
    store_commit(pl->st);
}

/* ---- by order ---- */

bool domain_reset(struct pipeline *pl, unsigned d, struct audit_who who, struct when now)
{
    struct store *st = pl->st;
    if (d >= pl->options.domains)
        return false;
    struct domain_rec *r = at(st, d);
    domain_settle(st, d, now.mono, is_available(st, d));
    const bool drained = domain_drained(st, d);
    if (domain_state(st, d) != DOMAIN_CLOSED)
        set_state(st, d, DOMAIN_CLOSED, DOMAIN_NO_CAUSE, now);
    else if (drained)
        STORE_ADD(st, r->returns, 1);
    STORE_SET(st, r->state, word_of(DOMAIN_CLOSED, DOMAIN_NO_CAUSE, false, 0));
    STORE_SET(st, r->crashes, 0);
    store_commit(st);
    pl->domains.now[d] = (struct domain_now){.window = now.mono};
    log_with(LOG_LEVEL_INFO, "domain", LOG_FIELDS(LOG_U64("domain", d)), "domain %u is reset", d);
    note(who, "domain.reset", d, "done");
    return true;
}

bool domain_drain(struct pipeline *pl, unsigned d, struct audit_who who, struct when now)
{
    struct store *st = pl->st;
    if (d >= pl->options.domains)
        return false;
    struct domain_rec *r = at(st, d);
    domain_settle(st, d, now.mono, is_available(st, d));
    STORE_SET(st, r->state, r->state | (uint64_t)DOMAIN_DRAINED << DOMAIN_FLAGS_SHIFT);
    store_commit(st);
    log_with(LOG_LEVEL_INFO, "domain", LOG_FIELDS(LOG_U64("domain", d)),
             "domain %u is drained: nobody is let in until it is reset", d);
    note(who, "domain.drain", d, "done");
    return true;
}

/* ---- admission ---- */

static uint64_t left(uint64_t until, struct when now)
{
    return until > now.mono ? until - now.mono : NS_PER_S;
}

bool domain_admits(const struct pipeline *pl, unsigned d, struct when now, uint64_t *retry)
{
    const struct domain_options *o = &pl->options.domain;
    const enum domain_state state = domain_state(pl->st, d);
    *retry = 0;
    if (domain_drained(pl->st, d))
        *retry = DRAIN_RETRY;
    else if (state == DOMAIN_OPEN ||
             (state == DOMAIN_HALF_OPEN && pl->domain_sessions[d] >= o->probes))
        *retry = left(domain_until(pl->st, o, d), now);
    return *retry == 0;
}

bool domain_shuts(const struct store *st, unsigned d)
{
    return domain_state(st, d) == DOMAIN_OPEN;
}

bool domain_empties(const struct store *st, unsigned d)
{
    return domain_drained(st, d);
}

/* ---- metrics ---- */

void domain_refresh(struct pipeline *pl, unsigned d)
{
    struct own *o = &pl->own;
    const struct store *st = pl->st;
    const struct domain_rec *r = at(st, d);
    own_set(o, OWN_DOMAIN_BREAKER, d, domain_state(st, d));
    own_set(o, OWN_DOMAIN_OPENED, d, r->trips);
    own_set(o, OWN_DOMAIN_RESTARTS, d, r->returns);
    own_set(o, OWN_DOMAIN_CRASHES, d, r->deaths);
    own_set(o, OWN_DOMAIN_DRAINED, d, domain_drained(st, d));
    own_set(o, OWN_DOMAIN_ASIDE, d, domain_aside(st, d));
    own_set(o, OWN_DOMAIN_RECOVERY, d, f64_bits((double)r->recovery / (double)NS_PER_S));
    for (unsigned w = 0; w < DOMAIN_WINDOWS; w++)
        own_set(o, OWN_DOMAIN_AVAILABLE, d * DOMAIN_WINDOWS + w,
                f64_bits(domain_available(st, d, (enum domain_window)w, r->settled)));
}
