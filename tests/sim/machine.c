#include "machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "pipeline/otlp.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "store/commit.h"
#include "store/space.h"
#include "wire/encode.h"

/* The machine whose daemon runs: the hooks below have no argument for it. */
static struct machine *running;

const char *mutant_name(enum mutant m)
{
    static const char *const names[] = {
#define X(sym, word) word,
        MUTANT_TABLE(X)
#undef X
    };
    return names[m];
}

/* ---- the hand in every change ---- */

void sim_store_point(const struct store *st, uint64_t offset, enum sim_point point)
{
    (void)st;
    (void)offset;
    (void)point;
    if (running && running->points_left && --running->points_left == 0)
        longjmp(running->death, 1);
}

static bool inside(const struct store *st, uint64_t offset, enum store_section s)
{
    const struct section_place *p = &st->head->section[s];
    return offset >= p->offset && offset - p->offset < p->size;
}

static bool head_field(uint64_t offset, uint64_t field, uint64_t size)
{
    return offset >= field && offset - field < size;
}

#define HEAD_FIELD(offset, name)                                                                   \
    head_field((offset), offsetof(struct store_head, name), sizeof(((struct store_head *)0)->name))

bool sim_store_logs(const struct store *st, uint64_t offset)
{
    switch (running ? running->mutant : MUTANT_NONE) {
    case MUTANT_CELLS:
        return !inside(st, offset, SECTION_HEAP);
    case MUTANT_SESSIONS:
        return !inside(st, offset, SECTION_SESSIONS);
    case MUTANT_SERIES:
        return !inside(st, offset, SECTION_SERIES);
    case MUTANT_METRICS:
        return !inside(st, offset, SECTION_METRICS);
    case MUTANT_TABLES:
        return !HEAD_FIELD(offset, table);
    case MUTANT_BUCKETS:
        return !inside(st, offset, SECTION_BUCKETS_SERIES);
    case MUTANT_RINGS:
        return !HEAD_FIELD(offset, ring);
    case MUTANT_FOLLOWER:
        return !head_field(offset,
                           offsetof(struct store_head, ring[RING_SPANS].consumer[CONSUMER_EXPORT]),
                           sizeof(struct ring_consumer_head));
    case MUTANT_STREAMS:
        return !inside(st, offset, SECTION_STREAMS);
    case MUTANT_DOMAINS:
        return !inside(st, offset, SECTION_DOMAINS);
    case MUTANT_NONE:
    case MUTANT_MAX:
        break;
    }
    return true;
}

/* ---- memory that is out ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Only the daemon goes hungry, not the simulation. */
static bool starves(void)
{
    if (!running || !running->famine || rng_below(&running->hunger, 1000000) >= running->famine)
        return false;
    running->starved++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return starves() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return starves() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return starves() ? NULL : __real_realloc(p, size);
}

/* ---- life and death ---- */

/* A killed process frees nothing: what it held at that moment is no leak. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static int reserve(void *arg, uint64_t offset, uint64_t size)
{
    struct machine *m = arg;
    const uint64_t first = offset / MACHINE_PAGE, end = (offset + size) / MACHINE_PAGE;
    uint32_t want = 0;
    for (uint64_t i = first; i < end; i++)
        want += !m->page[i];
    if (want > m->pages_left)
        return -ERR_FULL;
    m->pages_left -= want;
    memset(m->page + first, true, end - first);
    return 0;
}

/* OTLP has a domain of its own, so that its ledger can be told from the nodes'. */
static unsigned choose_domain(void *arg, const struct peer *peer, struct str service,
                              struct str asked)
{
    const unsigned nodes = ((const struct machine *)arg)->options.domains - 1;
    (void)asked;
    return peer->uid == OTLP_UID ? nodes
                                 : (unsigned)(hash_bytes(service.p, service.n, peer->uid) % nodes);
}

/* Each named event counts, is summarized, and sets a part of a joined gauge. */
static struct rules *make_rules(void)
{
    const struct rule table[MACHINE_RULES] = {
        {.event = STR("sim.*"), .metric = STR("sim.ruled"), .kind = METRIC_COUNTER},
        {.event = STR("sim.event"),
         .metric = STR("sim.rated"),
         .kind = METRIC_SUMMARY,
         .measurement = STR("n")},
        {.event = STR("sim.event"),
         .metric = STR("sim.level"),
         .kind = METRIC_GAUGE,
         .join = JOIN_MAX,
         .measurement = STR("n")},
    };
    return rules_new(table, MACHINE_RULES);
}

void machine_init(struct machine *m, struct rng *rng, enum mutant mutant)
{
    const uint64_t boot = rng_next(rng);
    const uint64_t id = rng_next(rng) | 1;
    *m = (struct machine){
        .rng = rng,
        .size = MACHINE_BYTES,
        .pages_left = UINT32_MAX,
        .me = {.boot_id = {boot, ~boot}, .store_id = id, .secret = ~id},
        .now = {1000 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S},
        .mutant = mutant,
    };
    follower_init(&m->follower, rng);
    pipeline_defaults(&m->options);
    m->options.cardinality = 30;
    m->options.choose_domain = choose_domain;
    m->options.choose_arg = m;
    m->options.series_idle = 200 * NS_PER_S;
    m->options.session_keep = 100000 * NS_PER_S;
    static const struct redact_options secrets = {.enabled = true};
    m->rules = make_rules();
    m->redact = redact_new(&secrets);
    m->mem = aligned_alloc(MACHINE_PAGE, m->size);
    assert(m->mem && m->rules && m->redact);
    memset(m->mem, 0, m->size);
    for (unsigned i = 0; i < MACHINE_CABLES; i++) {
        buf_init(&m->cables[i].up, CABLE_BYTES);
        buf_init(&m->cables[i].down, CABLE_BYTES);
    }
}

/* The socket and all that was in it. */
static void cut(struct cable *c)
{
    buf_reset(&c->up);
    buf_reset(&c->down);
    c->open = c->hung_up = c->kept = false;
}

/* What is left of a process that is gone: only its memory has to be freed here. */
static void bury(struct machine *m)
{
    for (unsigned i = 0; i < MACHINE_CABLES; i++) {
        struct cable *c = &m->cables[i];
        if (c->linked)
            link_free(&c->link);
        c->linked = false;
        cut(c);
    }
    if (m->attached) {
        sampling_free(m->sampling);
        m->sampling = NULL;
        pipeline_fini(&m->pl);
        store_detach(&m->st, false);
    }
    m->attached = m->alive = false;
    m->points_left = 0;
    running = NULL;
}

void machine_fini(struct machine *m)
{
    bury(m);
    for (unsigned i = 0; i < MACHINE_CABLES; i++) {
        buf_fini(&m->cables[i].up);
        buf_fini(&m->cables[i].down);
    }
    rules_free(m->rules);
    redact_free(m->redact);
    free(m->mem);
}

/* Runs a step of the daemon. A kill on the way ends it here. */
#define LIVE(m, step)                                                                              \
    do {                                                                                           \
        if (!(m)->alive)                                                                           \
            break;                                                                                 \
        running = (m);                                                                             \
        if (setjmp((m)->death) == 0) {                                                             \
            step;                                                                                  \
            running = NULL;                                                                        \
        } else {                                                                                   \
            (m)->kills++;                                                                          \
            bury(m);                                                                               \
        }                                                                                          \
    } while (0)

/* Without memory for that it ends in good order; somebody starts it again. */
static bool set_up(struct machine *m)
{
    if (pipeline_init(&m->pl, &m->st, &m->options, m->now) < 0) {
        m->pl = (struct pipeline){0};
        return false;
    }
    if (!m->sampling_options.enabled)
        return true;
    m->sampling = sampling_new(&m->st, &m->pl.own, &m->sampling_options, m->now);
    m->pl.sampling = m->sampling;
    return m->sampling != NULL;
}

/* ---- shared rings ---- */

static struct cable *cable_of(struct machine *m, const struct link *l)
{
    for (unsigned i = 0; i < MACHINE_CABLES; i++)
        if (&m->cables[i].link == l)
            return &m->cables[i];
    assert(0 && "a link has a cable");
    return NULL;
}

static int on_offer(void *arg, struct link *l, const struct ring_offer *o)
{
    struct machine *m = arg;
    struct cable *c = cable_of(m, l);
    bool newest = true;
    for (unsigned i = 0; i < MACHINE_CABLES; i++) { /* over one connection alone */
        struct cable *other = &m->cables[i];
        if (other == c || !other->linked || other->link.session != l->session)
            continue;
        other->shared &= other->link.welcomed > l->welcomed;
        newest &= other->link.welcomed < l->welcomed;
    }
    c->shared = newest && link_ring_open(l, o, &c->ring) == 0;
    const struct ring_ready ready = {
        .stream = o->stream,
        .reason = c->shared ? 0 : REJECT_REFUSED,
        .position = c->shared ? link_ring_position(l, &c->ring) : o->position,
    };
    encode_ring_ready(&c->down, &ready);
    return 0;
}

static void on_bell(void *arg, struct link *l, uint64_t token)
{
    (void)arg;
    (void)l;
    (void)token;
}

static void read_ring(struct machine *m, struct cable *c, uint32_t most, bool patient)
{
    static uint32_t copy[SHM_RING_COPY / sizeof(uint32_t)];
    const struct shm_ring *r = c->shm;
    uint64_t tail = link_ring_position(&c->link, &c->ring);
    uint32_t taken;
    if ((tail / 64) % 3) { /* what lies there is read in place first, to the end of the memory */
        const uint64_t words = shm_ring_head(r) - tail, end = r->mask + 1 - (tail & r->mask);
        const uint32_t in_place = (uint32_t)(words < end ? words : end);
        tail += link_ring_add(&c->link, &c->ring, r->words + (tail & r->mask),
                              in_place < most ? in_place : most, m->now);
    }
    const uint32_t n = shm_ring_copy(r->words, r->mask, tail, shm_ring_head(r), copy, most);
    const enum link_ring_end end =
        link_ring_feed(&c->link, &c->ring, copy, n, patient, &taken, &c->down, m->now);
    assert(end != LINK_RING_BROKEN);
    atomic_store(&c->slot->tail, link_ring_position(&c->link, &c->ring));
}

void machine_read_ring(struct machine *m, unsigned i, uint32_t n, bool patient)
{
    struct cable *c = &m->cables[i];
    if (c->open && c->linked && c->shared)
        LIVE(m, read_ring(m, c, n, patient));
}

/* ---- life ---- */

static void boot(struct machine *m)
{
    struct health_options health;
    if (!set_up(m)) {
        m->alive = false;
        return;
    }
    m->pl.rules = m->rules;
    m->edge = (struct ring_edge){on_offer, on_bell, m};
    m->pl.rings = &m->edge;
    m->pl.link_units = 1 + rng_below(m->rng, rng_chance(m->rng, 50) ? 40 : 2000);
    m->pl.redact = m->redact;
    health_defaults(&health);
    health_watch_init(&m->watch, &m->st, &m->pl.own, &health, m->now);
    follower_boot(&m->follower, &m->st);
}

bool machine_start(struct machine *m)
{
    assert(!m->alive);
    const int r = store_attach(&m->st, m->mem, m->size, &m->me, reserve, m, m->now);
    if (r < 0) {
        memcpy(m->wrong, "the store is damaged", sizeof "the store is damaged");
        return false;
    }
    m->attached = m->alive = true;
    m->pl = (struct pipeline){0};
    LIVE(m, boot(m));
    if (m->attached && !m->alive)
        bury(m);
    return true;
}

void machine_doom(struct machine *m, uint32_t points)
{
    m->points_left = 1 + rng_below(m->rng, points);
}

/* ---- connections ---- */

bool machine_connect(struct machine *m, unsigned i)
{
    static const struct peer peer = {.uid = 1000, .pid = 1};
    struct cable *c = &m->cables[i];
    if (!m->alive || c->open)
        return false;
    link_init(&c->link, &m->pl, &peer);
    c->open = c->linked = true;
    c->shared = false;
    c->shm = NULL;
    return true;
}

static void end_link(struct machine *m, struct cable *c)
{
    link_fini(&c->link, m->now);
    c->linked = false;
    cut(c);
}

void machine_hang_up(struct machine *m, unsigned i)
{
    struct cable *c = &m->cables[i];
    if (!c->open)
        return;
    c->hung_up = true;
    if (c->up.n == 0 && !c->kept)
        LIVE(m, end_link(m, c));
}

void machine_cut(struct machine *m, unsigned i, size_t n)
{
    struct cable *c = &m->cables[i];
    if (c->open && n < c->up.n)
        c->up.n = n;
    machine_hang_up(m, i);
}

static void feed(struct machine *m, struct cable *c, size_t n)
{
    const int r = c->link.rest ? link_go_on(&c->link, &c->down, m->now)
                               : link_feed(&c->link, (const uint8_t *)c->up.p, n, &c->down, m->now);
    link_ack(&c->link, &c->down);
    if (!c->kept)
        buf_drop(&c->up, n);
    c->kept = r == LINK_MORE;
    if (r < 0 || c->down.failed || (c->hung_up && c->up.n == 0 && !c->kept))
        end_link(m, c);
}

void machine_read(struct machine *m, unsigned i, size_t n)
{
    struct cable *c = &m->cables[i];
    if (!c->open || (c->up.n == 0 && !c->kept))
        return;
    LIVE(m, feed(m, c, n < c->up.n ? n : c->up.n));
}

bool machine_do(struct machine *m, void (*what)(void *arg), void *arg)
{
    LIVE(m, what(arg));
    return m->alive;
}

static void tick(struct machine *m)
{
    pipeline_sweep(&m->pl, m->now, 200);
    if (!m->sampling)
        return;
    (void)sampling_recover(m->sampling, 100, m->now);
    sampling_tick(m->sampling, m->now);
}

void machine_tick(struct machine *m)
{
    LIVE(m, tick(m));
}

static void watch(struct machine *m, unsigned records)
{
    (void)health_watch_step(&m->watch, records, m->now);
    (void)health_watch_tick(&m->watch, records, m->now);
}

void machine_watch(struct machine *m, unsigned records)
{
    LIVE(m, watch(m, records));
}

void machine_follow(struct machine *m)
{
    const uint32_t famine = m->famine;
    m->famine = 0; /* it is the simulation's */
    LIVE(m, follower_step(&m->follower, &m->st));
    m->famine = famine;
}

void machine_follow_all(struct machine *m)
{
    LIVE(m, follower_drain(&m->follower, &m->st));
}

void machine_squeeze(struct machine *m, uint32_t pages, uint64_t bytes)
{
    struct store *st = &m->st;
    m->pages_left = pages;
    while (st->reserved[SECTION_HEAP] > st->head->heap_used + bytes + 64 * sizeof(uint64_t)) {
        const uint64_t at = heap_alloc(st, 64);
        store_set(st, at, 0);
        store_commit(st);
    }
}

void machine_reload(struct machine *m, unsigned cardinality, uint64_t series_idle)
{
    m->options.cardinality = cardinality;
    m->options.series_idle = series_idle;
    if (m->alive)
        m->pl.options = m->options;
}
