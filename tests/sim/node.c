#include "node.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/encode.h"

enum { QUEUE_BYTES = 256 * 1024, STORMS = 120 };

static const double size_bounds[3] = {1, 10, 100};
static const double sizes[4] = {0.5, 10, 50, 1000}; /* one for each bucket */

/* ---- definitions ---- */

static uint32_t define(struct node *n, const char *name, enum metric_kind kind,
                       enum value_type type, enum gauge_join join)
{
    struct metric_def d = {.name = str_of(name), .kind = kind, .type = type, .join = join};
    if (kind == METRIC_HISTOGRAM) {
        d.nbounds = 3;
        memcpy(d.bounds, size_bounds, sizeof size_bounds);
    }
    const uint32_t id = producer_define_metric(&n->p, &d);
    assert(id);
    return id;
}

static uint32_t define_series(struct node *n, uint32_t metric, char value)
{
    const char text[] = {value, '\0'};
    const struct label label = {STR("k"), str_of(text)};
    const uint32_t id = producer_define_series(&n->p, metric, &label, 1);
    assert(id);
    return id;
}

/* The store says where a ring is to be read on; a new store is offered what it has not. */
static void heard(void *arg, const struct ring_ready *ring, uint64_t token)
{
    struct node *n = arg;
    assert(ring && ring->stream == NODE_STREAM && token == 0);
    if (ring->reason == 0)
        atomic_store(&n->slot.tail, ring->position);
    else
        n->offered = false; /* there was no room for it: it is offered again */
}

void node_share(struct node *n)
{
    enum { WORDS = 4 * SHM_RING_MIN };
    void *memory = aligned_alloc(_Alignof(struct shm_ring_page), shm_ring_bytes(WORDS));
    assert(memory);
    memset(memory, 0, sizeof(struct shm_ring_page));
    shm_ring_init(&n->ring, memory, WORDS, &n->slot);
    n->shares = n->p.wants_rings = true;
    n->p.heard_arg = n;
}

void node_init(struct node *n, struct rng *rng, unsigned cable)
{
    struct producer_options o = {
        .service = STR("sim"),
        .instance = STR("1"),
        .agent = STR("sim/1"),
        .queue_bytes = QUEUE_BYTES,
        .heard = heard,
    };
    for (size_t i = 0; i < sizeof o.session; i++)
        o.session[i] = (uint8_t)(1 + rng_below(rng, 255));
    *n = (struct node){.rng = rng, .cable = cable};
    producer_init(&n->p, &o);
    n->metrics[ITEM_COUNT] = define(n, "sim.count", METRIC_COUNTER, VALUE_U64, JOIN_LAST);
    n->metrics[ITEM_TALLY] = define(n, "sim.tally", METRIC_COUNTER, VALUE_U64, JOIN_LAST);
    n->metrics[ITEM_SUM] = define(n, "sim.cost", METRIC_COUNTER, VALUE_F64, JOIN_LAST);
    n->metrics[ITEM_SIZE] = define(n, "sim.size", METRIC_HISTOGRAM, VALUE_F64, JOIN_LAST);
    n->metrics[ITEM_GAUGE] = define(n, "sim.active", METRIC_GAUGE, VALUE_F64, JOIN_SUM);
    n->metrics[ITEM_STORM] = define(n, "sim.storm", METRIC_SUMMARY, VALUE_F64, JOIN_LAST);
    for (int k = 0; k < ITEM_STORM; k++)
        n->series[k] = define_series(n, n->metrics[k], 'a');
    n->series[ITEM_BAD] = n->series[ITEM_SUM];
}

void node_fini(struct node *n)
{
    producer_fini(&n->p);
    free(n->log);
    free(n->ring.page);
    free(n->ring_log);
    free(n->ring_end);
}

/* ---- items ---- */

static void remember_ring(struct node *n, struct item it)
{
    if (n->nring == n->capring) {
        n->capring = n->capring ? 2 * n->capring : 256;
        n->ring_log = realloc(n->ring_log, n->capring * sizeof *n->ring_log);
        n->ring_end = realloc(n->ring_end, n->capring * sizeof *n->ring_end);
        assert(n->ring_log && n->ring_end);
    }
    n->ring_end[n->nring] = shm_ring_head(&n->ring);
    n->ring_log[n->nring++] = it;
}

static void remember(struct node *n, enum item_kind kind, uint8_t amount)
{
    if (n->ringing) {
        remember_ring(n, (struct item){(uint8_t)kind, amount});
        return;
    }
    if (n->nlog == n->caplog) {
        n->caplog = n->caplog ? 2 * n->caplog : 256;
        n->log = realloc(n->log, n->caplog * sizeof *n->log);
        assert(n->log);
    }
    n->log[n->nlog++] = (struct item){(uint8_t)kind, amount};
}

/* Which events and spans have a secret in them. */
static bool secret(uint8_t amount)
{
    return amount % 3 == 0;
}

static bool is_named(uint8_t amount)
{
    return amount % 2;
}

/* Into the ring, if `ringing`, else into the queue. */
static int put_update(struct node *n, uint32_t id, uint64_t bits)
{
    if (!n->ringing)
        return producer_update(&n->p, id, bits);
    const uint64_t head = shm_ring_head(&n->ring);
    const bool brief = id < SHM_SHORT_IDS && bits < SHM_SHORT_VALUES && bits % 4;
    if (brief && head < n->ring.half)
        shm_ring_write_short(&n->ring, head, shm_short(id, (uint32_t)bits));
    else
        shm_ring_put_update(&n->ring, id, bits);
    return shm_ring_head(&n->ring) != head ? 0 : -ERR_FULL;
}

static int put_item(struct node *n, enum event_kind kind, const struct buf *body)
{
    if (!n->ringing)
        return producer_item(&n->p, kind, (const uint8_t *)body->p, body->n);
    const uint64_t head = shm_ring_head(&n->ring);
    shm_ring_put_item(&n->ring, kind, body->p, (uint32_t)body->n);
    return shm_ring_head(&n->ring) != head ? 0 : -ERR_FULL;
}

static int emit_event(struct node *n, enum event_kind kind, uint8_t amount)
{
    static struct event e;
    struct buf body;
    memset(&e, 0, sizeof e);
    e.kind = kind;
    e.name = STR("sim.event");
    e.nattrs = e.all_attrs = secret(amount) ? 2 : 1;
    e.attrs[0] = (struct attr){.key = STR("n"), .type = ATTR_I64, .i = amount};
    e.attrs[1] = (struct attr){.key = STR("password"), .type = ATTR_STRING, .s = STR("hunter2")};
    if (kind == EVENT_HEALTH)
        e.state = HEALTH_HEALTHY;
    if (kind == EVENT_SPAN) {
        e.trace.trace_id[15] = (uint8_t)(1 + amount);
        e.trace.trace_id[9] = (uint8_t)(amount * 37);
        e.trace.span_id[0] = 1;
        e.span_kind = SPAN_SERVER;
    }
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, &e);
    assert(!body.failed);
    const int r = put_item(n, kind, &body);
    buf_fini(&body);
    return r;
}

/* Mostly the newest of the storm's series, so that older ones fall idle. */
static uint32_t storm_series(struct node *n)
{
    if (n->storms < STORMS && rng_chance(n->rng, 20)) {
        n->series[ITEM_STORM] =
            define_series(n, n->metrics[ITEM_STORM], (char)('A' + n->storms % 58));
        n->storms++;
    }
    return n->series[ITEM_STORM];
}

static int emit(struct node *n, enum item_kind kind, uint8_t amount)
{
    switch (kind) {
    case ITEM_COUNT:
    case ITEM_TALLY:
        return put_update(n, n->series[kind], amount);
    case ITEM_SUM:
        return put_update(n, n->series[kind], f64_bits(amount * 0.5));
    case ITEM_SIZE:
        return put_update(n, n->series[kind], f64_bits(sizes[amount % 4]));
    case ITEM_GAUGE:
        return put_update(n, n->series[kind], f64_bits(amount));
    case ITEM_STORM:
        return put_update(n, storm_series(n), f64_bits(amount));
    case ITEM_BAD:
        return put_update(n, n->series[kind], f64_bits(NAN));
    case ITEM_EVENT:
        return emit_event(n, is_named(amount) ? EVENT_NAMED : EVENT_HEALTH, amount);
    case ITEM_SPAN:
        return emit_event(n, EVENT_SPAN, amount);
    case ITEM_KINDS:
        break;
    }
    return -ERR_RANGE;
}

static void emit_one(struct node *n, enum item_kind kind)
{
    const uint8_t amount = (uint8_t)rng_below(n->rng, 200);
    if (emit(n, kind, amount) == 0)
        remember(n, kind, amount);
}

/* What the daemon adds up, or applies by blocks. */
static void emit_run(struct node *n, uint32_t items)
{
    n->ringing = n->shares && rng_chance(n->rng, 50);
    for (uint32_t i = 0; i < items && !n->dead; i++)
        emit_one(n, rng_chance(n->rng, 50) ? ITEM_COUNT : ITEM_TALLY);
}

static void emit_mixed(struct node *n, uint32_t items)
{
    for (uint32_t i = 0; i < items && !n->dead; i++) {
        enum item_kind kind = (enum item_kind)rng_below(n->rng, ITEM_KINDS);
        if (kind == ITEM_STORM && n->storms == 0)
            kind = ITEM_COUNT;
        if (rng_chance(n->rng, 5))
            (void)storm_series(n);
        n->ringing = n->shares && rng_chance(n->rng, 50);
        emit_one(n, kind);
    }
}

void node_emit(struct node *n, uint32_t most)
{
    const uint32_t items = rng_below(n->rng, most);
    if (rng_chance(n->rng, 20))
        emit_run(n, items);
    else
        emit_mixed(n, items);
}

static void add_item(const struct item *it, struct totals *t)
{
    t->count += it->kind == ITEM_COUNT ? it->amount : 0;
    t->tally += it->kind == ITEM_TALLY ? it->amount : 0;
    t->sum += it->kind == ITEM_SUM ? it->amount * 0.5 : 0;
    if (it->kind == ITEM_SIZE)
        t->bucket[it->amount % 4]++;
    t->events += it->kind == ITEM_EVENT;
    t->spans += it->kind == ITEM_SPAN;
    t->named += it->kind == ITEM_EVENT && is_named(it->amount);
    t->secrets += (it->kind == ITEM_EVENT || it->kind == ITEM_SPAN) && secret(it->amount);
    t->bad += it->kind == ITEM_BAD;
}

void node_totals(const struct node *n, uint64_t applied, struct totals *t)
{
    assert(applied <= n->nlog);
    t->items += applied;
    for (uint64_t i = 0; i < applied; i++)
        add_item(&n->log[i], t);
}

bool node_ring_totals(const struct node *n, uint64_t position, struct totals *t)
{
    uint64_t i = 0;
    for (; i < n->nring && n->ring_end[i] <= position; i++)
        add_item(&n->ring_log[i], t);
    t->items += i;
    return position == (i ? n->ring_end[i - 1] : 0);
}

bool node_ring_read(const struct node *n)
{
    return !n->shares || shm_ring_head(&n->ring) == atomic_load(&n->slot.tail);
}

/* ---- the connection ---- */

static void notice(struct node *n, struct machine *m)
{
    if (n->connected && !m->cables[n->cable].open) {
        producer_disconnected(&n->p);
        n->connected = false;
    }
}

void node_connect(struct node *n, struct machine *m)
{
    notice(n, m);
    if (n->connected || n->dead)
        return;
    if (m->cables[n->cable].open)
        n->cable ^= NODE_CABLES;
    if (!machine_connect(m, n->cable))
        return;
    const int r = producer_connected(&n->p);
    assert(r == 0);
    n->connected = true;
    n->offered = false;
    if (n->shares) {
        m->cables[n->cable].shm = &n->ring;
        m->cables[n->cable].slot = &n->slot;
    }
}

void node_leave(struct node *n, struct machine *m)
{
    notice(n, m);
    if (!n->connected)
        return;
    producer_disconnected(&n->p);
    n->connected = false;
    machine_hang_up(m, n->cable);
}

void node_lose(struct node *n, struct machine *m, size_t bytes)
{
    notice(n, m);
    if (!n->connected)
        return;
    producer_disconnected(&n->p);
    n->connected = false;
    machine_cut(m, n->cable, bytes);
}

void node_die(struct node *n, struct machine *m)
{
    node_leave(n, m);
    n->dead = true;
}

/* The first `most` bytes of the pieces at most; how many they are. */
static size_t carry(struct cable *c, const struct str *out, unsigned pieces, size_t most)
{
    size_t done = 0;
    for (unsigned i = 0; i < pieces; i++) {
        const size_t n = out[i].n < most - done ? out[i].n : most - done;
        buf_add(&c->up, out[i].p, n);
        done += n;
    }
    assert(!c->up.failed);
    return done;
}

void node_send(struct node *n, struct machine *m, size_t most)
{
    struct str out[4];
    unsigned pieces;
    notice(n, m);
    struct cable *c = &m->cables[n->cable];
    while (n->connected && most > 0 && (pieces = producer_output(&n->p, out, 4)) > 0) {
        const size_t sent = carry(c, out, pieces, most);
        producer_sent(&n->p, sent);
        most -= sent;
    }
    if (n->connected && n->shares && !n->offered && n->p.max_rings && producer_between(&n->p)) {
        const struct ring_offer o = {NODE_STREAM, n->ring.mask + 1, atomic_load(&n->slot.tail)};
        assert(n->p.known != SESSION_EXPIRED);
        encode_ring(&c->up, &o);
        n->offered = true;
    }
}

void node_receive(struct node *n, struct machine *m, size_t most)
{
    notice(n, m);
    struct cable *c = &m->cables[n->cable];
    const size_t len = c->down.n < most ? c->down.n : most;
    if (!n->connected || len == 0)
        return;
    const int r = producer_feed(&n->p, (const uint8_t *)c->down.p, len);
    buf_drop(&c->down, len);
    assert(r == 0);
}
