#include "watch/health.h"

#include <assert.h>
#include <stdio.h>

#include "model/text.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/space.h"
#include "wire/decode.h"

enum { CHAIN_MAX = 4096, NAMES = LIMIT_SERVICE + 1 + LIMIT_NAME };

void health_defaults(struct health_options *o)
{
    *o = (struct health_options){
        .rules = {.interval = 30 * NS_PER_S,
                  .timeout = 5 * NS_PER_S,
                  .recovery = 10 * NS_PER_S,
                  .failures = 3},
        .expire = 24 * 3600 * NS_PER_S,
        .per_domain = 256,
        .memory_warning = 0.85,
        .memory_critical = 0.95,
    };
}

/* ---- a component's record and its state ---- */

static struct part_rec *record(const struct health_watch *w, uint32_t i)
{
    return table_get(w->st, TABLE_PARTS, i);
}

static unsigned domain_of(const struct part_rec *r)
{
    return (unsigned)(r->state >> 32 & 0xffff);
}

static bool is_active(const struct part_rec *r)
{
    return domain_of(r) == HEALTH_ACTIVE;
}

static struct part unpack(const struct part_rec *r)
{
    const unsigned in_a_row = (unsigned)(r->state >> 48 & 0xff);
    return (struct part){
        .phase = (enum part_phase)(r->state >> 56),
        .reported = (enum health_state)(r->state >> 8 & 0xff),
        .failures = (unsigned)(r->state >> 16 & 0xffff),
        .missed = is_active(r) ? 0 : in_a_row,
        .successes = is_active(r) ? in_a_row : 0,
        .heard = r->reported,
        .changed = r->changed,
    };
}

static void set_word(struct store *st, uint64_t *word, uint64_t value)
{
    if (*word != value)
        store_set(st, store_off(st, word), value);
}

static void pack(struct store *st, struct part_rec *r, const struct part *p)
{
    const uint64_t state = part_shown(p->phase) | (uint64_t)p->reported << 8 |
                           (uint64_t)p->failures << 16 | (uint64_t)domain_of(r) << 32 |
                           (uint64_t)(is_active(r) ? p->successes : p->missed) << 48 |
                           (uint64_t)p->phase << 56;
    set_word(st, &r->state, state);
    set_word(st, &r->reported, p->heard);
    set_word(st, &r->changed, p->changed);
}

/* Keeps the sums that pages are made of in step with one component's move. */
static void recount(struct health_watch *w, enum health_state state, int by)
{
    w->count[state] += (unsigned)by;
    if (w->own)
        own_set(w->own, OWN_COMPONENTS, state, w->count[state]);
}

static struct str blob(const struct health_watch *w, uint64_t at)
{
    const struct text_blob *t = at ? store_at(w->st, at, sizeof *t) : NULL;
    return t ? (struct str){t->text, t->size} : (struct str){"", 0};
}

static void tell(const struct health_watch *w, const struct part_rec *r, enum health_state from,
                 enum health_state to)
{
    if (!w->moved)
        return;
    const struct str names = blob(w, r->names);
    const size_t service = strnlen(names.p, names.n);
    const size_t rest = names.n - service;
    const uint64_t first = table_offset(w->st, TABLE_PARTS, 0);
    const struct health_move m = {
        .part = (uint32_t)((store_off(w->st, r) - first) / sizeof *r),
        .domain = domain_of(r),
        .service = {names.p, service},
        .component = {names.p + service + (rest > 0), rest - (rest > 0)},
        .message = blob(w, r->message),
        .from = from,
        .to = to,
    };
    w->moved(w->moved_arg, &m);
}

static void update(struct health_watch *w, struct part_rec *r, const struct part *p)
{
    const enum health_state before = (enum health_state)(r->state & 0xff);
    const enum health_state after = part_shown(p->phase);
    pack(w->st, r, p);
    if (before == after)
        return;
    recount(w, before, -1);
    recount(w, after, 1);
    tell(w, r, before, after);
}

/* ---- finding and making ---- */

struct part_key {
    unsigned domain;
    char names[NAMES]; /* service NUL component */
    size_t n;
};

static void make_key(struct part_key *k, unsigned domain, struct str service, struct str component)
{
    k->domain = domain;
    if (service.n)
        memcpy(k->names, service.p, service.n);
    k->names[service.n] = '\0';
    memcpy(k->names + service.n + 1, component.p, component.n);
    k->n = service.n + 1 + component.n;
}

static uint64_t key_hash(const struct health_watch *w, const struct part_key *k)
{
    return part_hash(w->st, k->domain, (struct str){k->names, k->n});
}

static bool is_named(const struct health_watch *w, const struct part_rec *r,
                     const struct part_key *k)
{
    const struct text_blob *t = store_at(w->st, r->names, sizeof *t + k->n);
    return t && domain_of(r) == k->domain && t->size == k->n &&
           memcmp(t->text, k->names, k->n) == 0;
}

static struct part_rec *find(const struct health_watch *w, const struct part_key *k)
{
    uint32_t i = table_first(w->st, TABLE_PARTS, key_hash(w, k));
    for (int n = 0; i && n < CHAIN_MAX; n++, i = table_next(w->st, TABLE_PARTS, i)) {
        struct part_rec *r = record(w, i);
        if (r && is_named(w, r, k))
            return r;
    }
    return NULL;
}

/* NULL when the domain has as many as it may have, or the store is full. */
static struct part_rec *make(struct health_watch *w, const struct part_key *k, uint64_t now)
{
    struct store *st = w->st;
    if (k->domain != HEALTH_ACTIVE && w->domain_count[k->domain] >= w->options.per_domain)
        return NULL;
    const uint32_t i = table_alloc(st, TABLE_PARTS);
    if (!i)
        return NULL;
    struct part_rec *r =
        (struct part_rec *)(void *)store_word(st, table_offset(st, TABLE_PARTS, i));
    r->names = text_new(st, (struct str){k->names, k->n}, STR(""), STR(""));
    r->state = (uint64_t)k->domain << 32;
    r->reported = r->changed = now;
    if (r->names && table_insert(st, TABLE_PARTS, i, key_hash(w, k))) {
        w->domain_count[k->domain]++;
        recount(w, HEALTH_UNKNOWN, 1);
        return r;
    }
    if (r->names)
        text_free(st, r->names);
    table_remove(st, TABLE_PARTS, i);
    return NULL;
}

static void discard(struct health_watch *w, uint32_t i)
{
    const struct part_rec *r = record(w, i);
    if (r->message)
        text_free(w->st, r->message);
    text_free(w->st, r->names);
    table_remove(w->st, TABLE_PARTS, i);
}

static void forget(struct health_watch *w, uint32_t i)
{
    const struct part_rec *r = record(w, i);
    const enum health_state state = (enum health_state)(r->state & 0xff);
    w->domain_count[domain_of(r)]--;
    recount(w, state, -1);
    if (state != HEALTH_UNKNOWN)
        tell(w, r, state, HEALTH_UNKNOWN);
    discard(w, i);
}

static void keep_message(struct health_watch *w, struct part_rec *r, struct str message)
{
    struct store *st = w->st;
    const uint64_t old = r->message;
    message = text_cut(message, HEALTH_MESSAGE);
    if (str_eq(blob(w, old), message))
        return;
    STORE_SET(st, r->message, message.n ? text_new(st, message, STR(""), STR("")) : 0);
    if (old)
        text_free(st, old);
}

/* ---- reading the ring ---- */

/* One report, or result, of the component with that key; false when there is no room. */
static bool note(struct health_watch *w, const struct part_key *k, const struct part_rules *rules,
                 const struct event *e, struct health_change *change, uint64_t now)
{
    struct part_rec *r = find(w, k);
    if (!r)
        r = make(w, k, now);
    if (!r)
        return false;
    struct part p = unpack(r);
    change->from = part_shown(p.phase);
    part_report(&p, rules, e->state, now);
    change->to = part_shown(p.phase);
    keep_message(w, r, e->text);
    update(w, r, &p);
    STORE_ADD(w->st, r->reports, 1);
    return true;
}

static enum ring_outcome take(struct health_watch *w, const struct ring_view *v, uint64_t now)
{
    struct health_change change;
    struct part_key k;
    if (v->kind != EVENT_HEALTH)
        return RING_FILTERED;
    if (decode_body(EVENT_HEALTH, (const uint8_t *)v->body.p, v->body.n, &w->event) < 0)
        return RING_FAILED;
    make_key(&k, v->domain < DOMAINS_MAX ? v->domain : 0, v->service, w->event.name);
    if (!note(w, &k, &w->options.rules, &w->event, &change, now))
        return RING_FAILED;
    return RING_DELIVERED;
}

bool health_watch_step(struct health_watch *w, unsigned records, struct when now)
{
    struct store *st = w->st;
    struct ring_view v;
    bool more = true;
    assert(st->undo_used == 0);
    for (unsigned i = 0; i < records && more; i++) {
        more = ring_consume(st, RING_EVENTS, CONSUMER_HEALTH, w->copy, sizeof w->copy, &v) > 0;
        if (more)
            ring_outcome(st, RING_EVENTS, CONSUMER_HEALTH, take(w, &v, now.mono));
        if (!store_has_room(st))
            store_commit(st);
    }
    store_commit(st);
    return more;
}

/* ---- time ---- */

bool health_watch_tick(struct health_watch *w, unsigned units, struct when now)
{
    struct store *st = w->st;
    assert(st->undo_used == 0);
    for (; units > 0 && w->tick_at < table_end(st, TABLE_PARTS); units--, w->tick_at++) {
        struct part_rec *r = record(w, w->tick_at);
        if (!r)
            continue;
        if (is_active(r))
            continue; /* it ends with its configuration, and time alone changes nothing */
        if (now.mono - r->reported >= w->options.expire) {
            forget(w, w->tick_at);
        } else {
            struct part p = unpack(r);
            part_tick(&p, &w->options.rules, w->since, now.mono);
            update(w, r, &p);
        }
        if (!store_has_room(st))
            store_commit(st);
    }
    store_commit(st);
    if (w->tick_at < table_end(st, TABLE_PARTS))
        return true;
    w->tick_at = 1;
    return false;
}

/* ---- active checks ---- */

struct health_change health_watch_result(struct health_watch *w, const struct health_check *c,
                                         enum health_state state, struct str message,
                                         struct when now)
{
    const struct part_rules rules = {.failures = c->failures, .successes = c->successes};
    const struct event e = {.state = state, .text = message};
    struct health_change change = {HEALTH_UNKNOWN, HEALTH_UNKNOWN};
    struct part_key k;
    assert(w->st->undo_used == 0);
    make_key(&k, HEALTH_ACTIVE, c->service, c->name);
    (void)note(w, &k, &rules, &e, &change, now.mono);
    store_commit(w->st);
    return change;
}

static bool is_among(const struct health_watch *w, const struct part_rec *r,
                     const struct health_check *all, unsigned n)
{
    struct part_key k;
    for (unsigned i = 0; i < n; i++) {
        make_key(&k, HEALTH_ACTIVE, all[i].service, all[i].name);
        if (is_named(w, r, &k))
            return true;
    }
    return false;
}

void health_watch_checks(struct health_watch *w, const struct health_check *all, unsigned n)
{
    for (uint32_t i = 1; i < table_end(w->st, TABLE_PARTS); i++) {
        const struct part_rec *r = record(w, i);
        if (!r || !is_active(r) || is_among(w, r, all, n))
            continue;
        forget(w, i);
        store_commit(w->st);
    }
}

void health_watch_recall(struct health_watch *w)
{
    for (uint32_t i = 1; i < table_end(w->st, TABLE_PARTS); i++) {
        const struct part_rec *r = record(w, i);
        if (r && (r->state & 0xff) == HEALTH_UNHEALTHY)
            tell(w, r, HEALTH_UNHEALTHY, HEALTH_UNHEALTHY);
    }
}

/* ---- start ---- */

/* A record that we cannot have written is no component. */
static bool sane(const struct part_rec *r)
{
    return r->state >> 56 < PART_PHASES && (r->state >> 8 & 0xff) <= HEALTH_UNHEALTHY &&
           (r->state & 0xff) == part_shown((enum part_phase)(r->state >> 56)) &&
           domain_of(r) <= HEALTH_ACTIVE;
}

static void count_all(struct health_watch *w)
{
    for (uint32_t i = 1; i < table_end(w->st, TABLE_PARTS); i++) {
        const struct part_rec *r = record(w, i);
        if (r && !sane(r)) {
            discard(w, i);
            store_commit(w->st);
        } else if (r) {
            w->domain_count[domain_of(r)]++;
            w->count[r->state & 0xff]++;
        }
    }
}

void health_watch_init(struct health_watch *w, struct store *st, struct own *own,
                       const struct health_options *options, struct when now)
{
    memset(w, 0, sizeof *w);
    w->st = st;
    w->own = own;
    w->since = now.mono;
    w->tick_at = 1;
    health_watch_configure(w, options);
    count_all(w);
    for (unsigned s = 0; own && s <= HEALTH_UNHEALTHY; s++)
        own_set(own, OWN_COMPONENTS, s, w->count[s]);
    store_commit(st);
}

void health_watch_configure(struct health_watch *w, const struct health_options *options)
{
    assert(options->rules.interval > 0 && options->rules.failures > 0);
    w->options = *options;
}

/* ---- what it all comes to ---- */

enum health_status health_components(const struct health_watch *w, struct buf *why)
{
    const unsigned *n = w->count;
    buf_addf(why, "%u healthy, %u degraded, %u unhealthy, %u unknown", n[HEALTH_HEALTHY],
             n[HEALTH_DEGRADED], n[HEALTH_UNHEALTHY], n[HEALTH_UNKNOWN]);
    if (n[HEALTH_UNHEALTHY])
        return HEALTH_FAIL;
    return n[HEALTH_DEGRADED] ? HEALTH_WARN : HEALTH_PASS;
}

/* "component" or "service/component". */
static bool is_required(const struct part_view *p, struct str required)
{
    if (str_eq(p->component, required))
        return true;
    const size_t n = p->service.n;
    return required.n == n + 1 + p->component.n && required.p[n] == '/' &&
           memcmp(required.p, p->service.p, n) == 0 &&
           memcmp(required.p + n + 1, p->component.p, p->component.n) == 0;
}

/* The worst state of the components that a name fits; HEALTH_UNKNOWN for none. */
static enum health_state worst_of(const struct health_watch *w, struct str required)
{
    unsigned worst = HEALTH_UNKNOWN;
    struct part_view p;
    for (uint32_t i = 1; i < part_ids(w->st); i++)
        if (part_read(w->st, i, &p) && is_required(&p, required) && p.state > worst)
            worst = p.state;
    return (enum health_state)worst;
}

bool health_ready(const struct health_watch *w, struct buf *why)
{
    bool ready = true;
    for (unsigned i = 0; i < w->options.nrequired; i++) {
        const struct str name = w->options.required[i];
        const enum health_state s = worst_of(w, name);
        if (s == HEALTH_HEALTHY || s == HEALTH_DEGRADED)
            continue;
        buf_addf(why, "%s%.*s is %s", ready ? "" : ", ", STR_ARG(name), health_name(s));
        ready = false;
    }
    return ready;
}

enum health_status health_memory(const struct health_options *o, uint64_t used, uint64_t limit)
{
    const double ratio = limit ? (double)used / (double)limit : 0;
    if (ratio >= o->memory_critical)
        return HEALTH_FAIL;
    return ratio >= o->memory_warning ? HEALTH_WARN : HEALTH_PASS;
}
