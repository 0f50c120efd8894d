#include "pipeline/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/apply.h"
#include "pipeline/naming.h"
#include "store/read.h"
#include "store/session.h"
#include "store/session_ring.h"
#include "store/space.h"
#include "wire/encode.h"

enum {
    LINK_REFUSED = 1 << 30, /* in metrics[]: the definition was refused; the reason is below */
    FIRST_IDS = 16,
};

void link_init(struct link *l, struct pipeline *pl, const struct peer *peer)
{
    *l = (struct link){.pl = pl, .peer = *peer, .state = LINK_GREETING};
    frame_reader_init(&l->reader);
}

void link_free(struct link *l)
{
    free(l->series);
    free(l->metrics);
    link_runs_free(&l->runs);
    l->series = NULL;
    l->metrics = NULL;
    l->nseries = l->nmetrics = 0;
    frame_reader_fini(&l->reader);
    free(l->rest);
    l->rest = NULL;
}

/* ---- ids ---- */

static void release_ids(struct link *l)
{
    struct store *st = l->pl->st;
    for (uint32_t i = 0; i < l->nseries; i++)
        if (l->series[i].cells)
            series_let_go(st, l->series[i].target & ((1u << LINK_SERIES_BITS) - 1));
    for (uint32_t i = 0; i < l->nmetrics; i++)
        if (l->metrics[i] && l->metrics[i] < LINK_REFUSED)
            metric_let_go(st, l->metrics[i]);
    l->pl->ids -= (uint64_t)l->nseries + l->nmetrics;
    link_free(l);
}

/* Makes an array of ids reach `id`: 0, -ERR_FULL above a budget, -ERR_NOMEM. */
static int reach(struct pipeline *pl, void **ids, uint32_t *n, size_t size, uint32_t id)
{
    const uint32_t budget = pl->options.ids_per_connection;
    if (id < *n)
        return 0;
    if (id >= budget)
        return -ERR_FULL;
    uint32_t want = *n ? *n : FIRST_IDS;
    while (want <= id)
        want *= 2;
    if (want > budget)
        want = budget;
    if (pl->ids + (want - *n) > pl->options.ids_total)
        return -ERR_FULL;
    uint8_t *p = realloc(*ids, want * size);
    if (!p)
        return -ERR_NOMEM;
    memset(p + *n * size, 0, (want - *n) * size);
    *ids = p;
    pl->ids += want - *n;
    *n = want;
    return 0;
}

/* ---- answers ---- */

static void reject(struct link *l, struct buf *out, const struct reject *r)
{
    own_add(&l->pl->own, OWN_REJECTED, own_reject_index(r->reason), 1);
    store_commit(l->pl->st);
    encode_reject(out, r);
}

/* What a producer that keeps to the protocol never does. */
static bool is_fault(unsigned reason)
{
    return (reason >= REJECT_HEADER && reason <= REJECT_HELLO) || reason == REJECT_GAP ||
           reason == REJECT_BAD_CONTROL;
}

/* A fault that ends the connection. */
static int close_with(struct link *l, struct buf *out, unsigned reason, unsigned type)
{
    const struct reject r = {.reason = (uint16_t)reason, .type = (uint8_t)type};
    if (l->session && is_fault(reason))
        domain_did(l->pl, l->domain, DOMAIN_PROTOCOL_FAULT, DOMAIN_PROTOCOL_FAULT);
    reject(l, out, &r);
    l->state = LINK_CLOSING;
    return -ERR_CLOSED;
}

/* The domain takes nobody in now; when it is worth another try goes with it. */
static void refuse_for_now(struct link *l, struct buf *out, uint64_t retry)
{
    const struct reject r = {.first = (retry + NS_PER_MS - 1) / NS_PER_MS,
                             .reason = REJECT_DOMAIN,
                             .type = l->session ? 0 : FRAME_HELLO};
    reject(l, out, &r);
    l->state = LINK_CLOSING;
}

void link_shut(struct link *l, struct buf *out, struct when now)
{
    uint64_t retry = 0;
    if (l->state != LINK_OPEN)
        return;
    if (domain_admits(l->pl, l->domain, now, &retry))
        retry = NS_PER_S;
    link_ack(l, out);
    own_add(&l->pl->own, OWN_DOMAIN_REFUSED, l->domain, 1);
    refuse_for_now(l, out, retry);
}

void link_too_slow(struct link *l, struct buf *out)
{
    (void)close_with(l, out, REJECT_SLOW_FRAME, 0);
}

static void reject_definition(struct link *l, struct buf *out, unsigned type, uint32_t id,
                              enum drop_reason why)
{
    const struct reject r = {.id = id, .reason = (uint16_t)why, .type = (uint8_t)type};
    reject(l, out, &r);
}

void link_reject_items(struct link *l, struct buf *out, unsigned type, const struct tally *t)
{
    for (unsigned why = 0; why < DROP_MAX; why++) {
        if (t->all_dropped[why] == 0 || why == DROP_SAMPLED) /* which is nobody's fault */
            continue;
        const struct reject r = {
            .first = t->first_dropped[why],
            .count = t->all_dropped[why],
            .reason = (uint16_t)why,
            .type = (uint8_t)type,
        };
        reject(l, out, &r);
    }
}

/* ---- HELLO ---- */

/* The domain that a session was given when it began. */
static unsigned kept_domain(const struct link *l, uint32_t session)
{
    unsigned domain = (unsigned)(session_at(l->pl->st, session)->who >> WHO_DOMAIN_SHIFT & 0xffff);
    return domain < l->pl->options.domains ? domain : 0; /* there may be fewer domains now */
}

/* Whether the domain takes another connection; if not the REJECT is written. */
static bool admitted(struct link *l, unsigned domain, struct buf *out, struct when now)
{
    const unsigned most = l->pl->options.connections_per_domain;
    uint64_t retry = 0;
    const bool open = domain_admits(l->pl, domain, now, &retry);
    if (open && (most == 0 || l->pl->domain_sessions[domain] < most))
        return true;
    own_add(&l->pl->own, OWN_DOMAIN_REFUSED, domain, 1);
    own_add(&l->pl->own, OWN_REFUSED, 0, 1);
    if (open)
        (void)close_with(l, out, REJECT_REFUSED, FRAME_HELLO);
    else
        refuse_for_now(l, out, retry);
    return false;
}

static uint32_t new_session(struct link *l, const struct hello *h, unsigned domain,
                            enum session_known *known, struct when now)
{
    struct store *st = l->pl->st;
    *known = h->store_id == st->head->store_id ? SESSION_EXPIRED : SESSION_NEW;
    const struct session_ask ask = {
        .id = h->session,
        .uid = l->peer.uid,
        .domain = domain,
        .service = h->service,
        .instance = h->instance,
        .agent = h->agent,
        .applied = (*known == SESSION_EXPIRED ? h->next : h->first) - 1,
        .now = now,
    };
    return session_make(st, &ask);
}

static void attach(struct link *l, uint32_t session, unsigned domain)
{
    struct pipeline *pl = l->pl;
    l->session = session;
    l->domain = (uint16_t)domain;
    pl->attached[session]++;
    pl->domain_sessions[l->domain]++;
    session_set_ended(pl->st, session, 0);
    own_add(&pl->own, OWN_DOMAIN_ACCEPTED, domain, 1);
    store_commit(pl->st);
    l->welcomed = ++pl->welcomed;
    l->state = LINK_OPEN;
}

/* A ring of which the session has a mark is to be offered again, whatever the limit is now:
 * how far it is read is known here alone. */
static uint32_t rings_for(const struct link *l)
{
    const unsigned known = ring_mark_count(l->pl->st, l->session);
    const uint32_t limit = l->pl->options.rings_per_session;
    return known > limit ? known : limit;
}

static int on_hello(struct link *l, const struct frame *f, struct buf *out, struct when now)
{
    struct store *st = l->pl->st;
    struct hello h;
    enum session_known known = SESSION_KNOWN;
    if (decode_hello(f->payload, f->size, &h) < 0)
        return close_with(l, out, REJECT_BAD_CONTROL, FRAME_HELLO);
    if (h.version != PROTO_VERSION)
        return close_with(l, out, REJECT_VERSION, FRAME_HELLO);
    uint32_t session = session_find(st, h.session);
    if (session && (uint32_t)session_at(st, session)->who != l->peer.uid)
        return close_with(l, out, REJECT_OWNER, FRAME_HELLO);
    const unsigned domain =
        session ? kept_domain(l, session) : pipeline_domain(l->pl, &l->peer, h.service, h.domain);
    if (own_domain(&l->pl->own, domain, now) < 0)
        return close_with(l, out, REJECT_REFUSED, FRAME_HELLO);
    if (!admitted(l, domain, out, now))
        return -ERR_CLOSED;
    if (!session)
        session = new_session(l, &h, domain, &known, now);
    if (!session)
        return close_with(l, out, REJECT_REFUSED, FRAME_HELLO);
    attach(l, session, domain);
    l->wants_ack = h.capabilities & HELLO_WANTS_ACK;
    l->rings = h.capabilities & HELLO_WANTS_RINGS && l->pl->rings ? rings_for(l) : 0;
    l->acked = session_at(st, session)->applied;
    const struct welcome w = {
        .version = PROTO_VERSION,
        .known = known,
        .store_id = st->head->store_id,
        .applied = l->acked,
        .max_frame = LIMIT_FRAME,
        .max_ids = l->pl->options.ids_per_connection,
        .max_rings = l->rings,
    };
    encode_welcome(out, &w);
    return 0;
}

/* Its last connection has ended. */
static void end_session(struct store *st, uint32_t session, struct when now)
{
    if (session_is_leaving(st, session))
        session_forget(st, session);
    else
        session_set_ended(st, session, now.mono ? now.mono : 1);
}

void link_fini(struct link *l, struct when now)
{
    struct pipeline *pl = l->pl;
    release_ids(l);
    if (!l->session)
        return;
    pl->domain_sessions[l->domain]--;
    if (--pl->attached[l->session] == 0 && table_get(pl->st, TABLE_SESSIONS, l->session))
        end_session(pl->st, l->session, now);
    store_commit(pl->st);
    l->session = 0;
}

/* ---- definitions ---- */

static enum drop_reason why_refused(int err)
{
    return err == -ERR_PERM ? DROP_RESERVED : drop_of_error(err);
}

/* What is refused stays so for as long as the connection lasts; but memory that is out may
 * be there again when it comes back. */
static int out_of_memory(struct link *l, const struct frame *f, struct buf *out)
{
    return close_with(l, out, REJECT_REFUSED, f->type);
}

static int on_define_metric(struct link *l, const struct frame *f, struct buf *out)
{
    struct store *st = l->pl->st;
    struct metric_def def;
    uint32_t id = 0, metric;
    int r = decode_metric(f->payload, f->size, &id, &def);
    if (r < 0) {
        reject_definition(l, out, f->type, id, drop_of_error(r));
        return 0;
    }
    r = reach(l->pl, (void **)&l->metrics, &l->nmetrics, sizeof *l->metrics, id);
    if (r == -ERR_NOMEM)
        return out_of_memory(l, f, out);
    if (r < 0) {
        reject_definition(l, out, f->type, id, DROP_IDS_FULL);
        return 0;
    }
    if (l->metrics[id] && l->metrics[id] < LINK_REFUSED)
        metric_let_go(st, l->metrics[id]);
    l->metrics[id] = 0;
    r = metric_define_by(st, &def, l->domain, l->pl->options.metrics_per_domain, &metric);
    store_commit(st);
    if (r == -ERR_NOMEM)
        return out_of_memory(l, f, out);
    if (r < 0) {
        const enum drop_reason why = r == -ERR_FULL ? DROP_METRICS_FULL : why_refused(r);
        l->metrics[id] = LINK_REFUSED + (uint32_t)why;
        reject_definition(l, out, f->type, id, why);
        return 0;
    }
    metric_hold(st, metric);
    l->metrics[id] = metric;
    return 0;
}

enum { STARVED = -1 - DROP_MAX };

/* The series that a definition means; -1 - reason when there is none, or STARVED. */
static int make_series(struct link *l, const struct series_def *def, struct when now,
                       uint32_t *series)
{
    struct pipeline *pl = l->pl;
    if (def->metric_id >= l->nmetrics || l->metrics[def->metric_id] == 0)
        return -1 - DROP_UNKNOWN_ID;
    const uint32_t metric = l->metrics[def->metric_id];
    if (metric >= LINK_REFUSED)
        return -1 - (int)(metric - LINK_REFUSED);
    struct series_ask ask = {.metric = metric, .domain = l->domain, .now = now};
    int r = naming_ask(pl, naming_session(pl, l->session), def->labels, def->nlabels, &ask);
    if (r < 0)
        return r == -ERR_NOMEM ? STARVED : -1 - DROP_LIMIT;
    r = series_make(pl->st, &ask, series);
    if (r < 0)
        return -1 - DROP_SERIES_FULL;
    if (r > 0)
        own_add(&pl->own, OWN_SERIES_OVERFLOW, l->domain, 1);
    return 0;
}

static bool aim(struct link *l, struct link_series *at, uint32_t series)
{
    struct store *st = l->pl->st;
    struct series_view s;
    struct metric_view m;
    uint64_t cells;
    const enum cell_op op = series_target(st, series, l->session, &cells);
    if (!cells || !series_read(st, series, &s) || !metric_read(st, s.metric, &m))
        return false;
    at->cells = (uint32_t)(cells / sizeof(uint64_t));
    at->target = series | (uint32_t)op << LINK_OP_SHIFT | (m.type == VALUE_F64 ? LINK_F64 : 0);
    series_hold(st, series);
    return true;
}

static void forget_id(struct link *l, uint32_t id)
{
    link_runs_forget(l, id);
    if (l->series[id].cells)
        series_let_go(l->pl->st, l->series[id].target & ((1u << LINK_SERIES_BITS) - 1));
    l->series[id] = (struct link_series){0};
}

static int on_define_series(struct link *l, const struct frame *f, struct apply *a, struct buf *out,
                            struct when now)
{
    struct series_def def = {0};
    uint32_t series;
    int r = decode_series(f->payload, f->size, &def);
    if (r < 0) {
        reject_definition(l, out, f->type, def.id, drop_of_error(r));
        return 0;
    }
    r = reach(l->pl, (void **)&l->series, &l->nseries, sizeof *l->series, def.id);
    if (r == -ERR_NOMEM)
        return out_of_memory(l, f, out);
    if (r < 0) {
        if (l->no_place == 0 || def.id < l->no_place)
            l->no_place = def.id;
        reject_definition(l, out, f->type, def.id, DROP_IDS_FULL);
        return 0;
    }
    forget_id(l, def.id);
    r = make_series(l, &def, now, &series);
    if (r == STARVED)
        return out_of_memory(l, f, out);
    if (r == 0 && !aim(l, &l->series[def.id], series))
        r = -1 - DROP_SERIES_FULL;
    if (r < 0) {
        l->series[def.id].target = (uint32_t)-r; /* reason + 1 */
        reject_definition(l, out, f->type, def.id, (enum drop_reason)(-1 - r));
    }
    store_commit(l->pl->st);
    if (r == 0 && link_op(l->series[def.id].target) == CELL_PART)
        apply_charge(a, APPLY_UNITS_JOINED);
    return 0;
}

/* ---- sequenced frames ---- */

/* One turn's work on a frame, and the frame in hand. */
struct turn {
    struct frame f;
    bool open; /* the frame is not finished */
    struct apply a;
};

static int go_on_batch(struct link *l, struct turn *t, struct buf *out, struct when now)
{
    t->open = t->f.type == FRAME_UPDATE ? !apply_updates(l, &t->a, now)
                                        : !apply_items(l, (enum event_kind)t->f.type, &t->a, now);
    if (t->open)
        return LINK_MORE;
    link_reject_items(l, out, t->f.type, &t->a.t);
    return 0;
}

/* Begins what decode_batch() has said `r` of. */
static int begin_batch(struct link *l, struct turn *t, int r, struct buf *out, struct when now)
{
    const unsigned type = t->f.type;
    if (r == -ERR_SHORT)
        return close_with(l, out, REJECT_BAD_CONTROL, type);
    if (t->a.b.first > session_at(l->pl->st, l->session)->applied + 1)
        return close_with(l, out, REJECT_GAP, type);
    t->a.p = t->a.b.items;
    t->a.n = t->a.b.size;
    const bool over = r == 0 && domain_pace(l->pl, l->domain, now) == DOMAIN_DROP;
    if (r == 0 && !over)
        return go_on_batch(l, t, out, now);
    apply_drop(l, &t->a, over ? DROP_RATE_LIMITED : drop_of_error(r));
    link_reject_items(l, out, type, &t->a.t);
    return 0;
}

static int on_batch(struct link *l, struct turn *t, struct buf *out, struct when now)
{
    t->a = (struct apply){.units = t->a.units};
    const int r = decode_batch(t->f.type, t->f.payload, t->f.size, &t->a.b);
    return begin_batch(l, t, r, out, now);
}

/* The records that are there of a frame that is not. */
static int on_part(struct link *l, struct turn *t, const struct frame_part *part, struct buf *out,
                   struct when now)
{
    const size_t size = (size_t)part->count * PROTO_UPDATE;
    apply_charge(&t->a, APPLY_UNITS_FRAME);
    t->f = (struct frame){.type = FRAME_UPDATE, .size = (uint32_t)size, .payload = part->items};
    t->a = (struct apply){.units = t->a.units, .b = {part->first, part->count, part->items, size}};
    return begin_batch(l, t, 0, out, now);
}

static int on_lost(struct link *l, const struct frame *f, struct buf *out)
{
    struct store *st = l->pl->st;
    struct session_rec *s = session_at(st, l->session);
    struct lost lost;
    if (decode_lost(f->payload, f->size, &lost) < 0)
        return close_with(l, out, REJECT_BAD_CONTROL, FRAME_LOST);
    for (unsigned i = 0; i < LOST_MAX; i++) {
        if (lost.total[i] <= s->lost[i])
            continue; /* a running total never falls */
        const uint64_t more = lost.total[i] - s->lost[i];
        const uint64_t room = UINT64_MAX - own_get(&l->pl->own, OWN_PRODUCER_LOST, i);
        own_add(&l->pl->own, OWN_PRODUCER_LOST, i, more < room ? more : room);
        STORE_SET(st, s->lost[i], lost.total[i]);
    }
    store_commit(st);
    return 0;
}

/* The session will not come back: what it holds is freed at the end of the link. */
static void on_bye(struct link *l)
{
    struct pipeline *pl = l->pl;
    release_ids(l);
    if (pl->attached[l->session] > 1) { /* another connection is still being read */
        session_set_leaving(pl->st, l->session);
        store_commit(pl->st);
        return;
    }
    session_forget(pl->st, l->session);
    store_commit(pl->st);
    pl->attached[l->session] = 0;
    pl->domain_sessions[l->domain]--;
    l->session = 0;
    l->state = LINK_CLOSING;
}

/* ---- rings ---- */

void link_bad_ring(struct link *l, struct buf *out)
{
    (void)close_with(l, out, REJECT_BAD_CONTROL, FRAME_RING);
}

static int on_ring(struct link *l, const struct frame *f, struct buf *out)
{
    const struct pipeline *pl = l->pl;
    struct ring_offer o;
    if (!l->rings || decode_ring(f->payload, f->size, &o) < 0)
        return close_with(l, out, REJECT_BAD_CONTROL, f->type);
    return pl->rings->offered(pl->rings->arg, l, &o) < 0
               ? close_with(l, out, REJECT_BAD_CONTROL, f->type)
               : 0;
}

static int on_bell(struct link *l, const struct frame *f, struct buf *out)
{
    const struct pipeline *pl = l->pl;
    uint64_t token;
    if (!l->rings || decode_bell(f->payload, f->size, &token) < 0)
        return close_with(l, out, REJECT_BAD_CONTROL, f->type);
    pl->rings->bell(pl->rings->arg, l, token);
    return 0;
}

/* ---- frames ---- */

static int on_open_frame(struct link *l, struct turn *t, struct buf *out, struct when now)
{
    const struct frame *f = &t->f;
    switch (f->type) {
    case FRAME_HELLO:
        return close_with(l, out, REJECT_HELLO, f->type);
    case FRAME_DEFINE_METRIC:
        return on_define_metric(l, f, out);
    case FRAME_DEFINE_SERIES:
        return on_define_series(l, f, &t->a, out, now);
    case FRAME_UPDATE:
    case FRAME_SPAN:
    case FRAME_EVENT:
    case FRAME_LOG:
    case FRAME_HEALTH:
        return on_batch(l, t, out, now);
    case FRAME_LOST:
        return on_lost(l, f, out);
    case FRAME_RING:
        return on_ring(l, f, out);
    case FRAME_BELL:
        return on_bell(l, f, out);
    case FRAME_BYE:
        if (decode_bye(f->payload, f->size) < 0)
            return close_with(l, out, REJECT_BAD_CONTROL, f->type);
        link_ack(l, out);
        on_bye(l);
        return -ERR_CLOSED;
    default:
        return close_with(l, out, REJECT_TYPE, f->type);
    }
}

static int on_frame(struct link *l, struct turn *t, struct buf *out, struct when now)
{
    apply_charge(&t->a, APPLY_UNITS_FRAME);
    if (l->state == LINK_OPEN)
        return on_open_frame(l, t, out, now);
    if (t->f.type == FRAME_HELLO)
        return on_hello(l, &t->f, out, now);
    return close_with(l, out, REJECT_HELLO, t->f.type);
}

/* ---- turns ---- */

struct link_rest {
    size_t size; /* of this memory, bytes */
    struct turn t;
    const uint8_t *p; /* input behind the frame, n bytes */
    size_t n;
    uint8_t bytes[]; /* the frame's payload, when the reader does not hold it, and the input */
};

/* The frame's payload goes to `to`. */
static void move_payload(struct turn *t, uint8_t *to)
{
    const uint8_t *from = t->f.payload;
    memcpy(to, from, t->f.size);
    t->f.payload = to;
    t->a.b.items = to + (t->a.b.items - from);
    t->a.p = to + (t->a.p - from);
}

/* Keeps what the turn has not got to. What was kept before stays where it is. */
static int keep(struct link *l, const struct turn *t, const uint8_t *p, size_t n, struct buf *out)
{
    struct link_rest *r = l->rest;
    if (!r) {
        const bool held = frame_reader_holds(&l->reader, t->f.payload);
        const size_t payload = t->open && !held ? t->f.size : 0;
        const size_t size = sizeof *r + payload + n;
        r = malloc(size);
        if (!r)
            return close_with(l, out, REJECT_REFUSED, 0);
        r->size = size;
        r->t = *t;
        if (payload)
            move_payload(&r->t, r->bytes);
        memcpy(r->bytes + payload, p, n);
        r->p = r->bytes + payload;
        r->n = n;
        l->rest = r;
        return LINK_MORE;
    }
    r->t = *t;
    r->p = p;
    r->n = n;
    return LINK_MORE;
}

enum { NOTHING = 2 }; /* what next() says when the input has come to its end */

/* The next frame, or what there is of it when that can go on by itself. */
static int next(struct link *l, struct turn *t, const uint8_t **p, size_t *n, struct buf *out,
                struct when now)
{
    struct frame_part part;
    int got = l->state == LINK_OPEN ? frame_reader_part(&l->reader, p, n, &part) : 0;
    const bool whole = got == 0;
    if (whole)
        got = frame_reader_next(&l->reader, p, n, &t->f);
    if (got == 0)
        return NOTHING;
    if (got < 0)
        return close_with(l, out, got == -ERR_NOMEM ? REJECT_REFUSED : (unsigned)-got, 0);
    if (l->session)
        l->pl->st->head->domain_in_hand = l->domain + 1u;
    return whole ? on_frame(l, t, out, now) : on_part(l, t, &part, out, now);
}

/* Frame after frame, until the input or the units end. */
static int run(struct link *l, struct turn *t, const uint8_t *p, size_t n, struct buf *out,
               struct when now)
{
    int r = t->open ? go_on_batch(l, t, out, now) : 0;
    while (r == 0) {
        if (t->a.units == 0 && n > 0)
            return keep(l, t, p, n, out);
        r = next(l, t, &p, &n, out, now);
    }
    return r == LINK_MORE ? keep(l, t, p, n, out) : r == NOTHING ? 0 : r;
}

static int turn(struct link *l, struct turn *t, const uint8_t *p, size_t n, struct buf *out,
                struct when now)
{
    struct store_head *h = l->pl->st->head;
    t->a.units = l->pl->link_units;
    h->domain_in_hand = l->session ? l->domain + 1u : 0;
    const unsigned domain = l->domain;
    const bool owned = l->session != 0;
    const int r = run(l, t, p, n, out, now);
    l->spent = l->pl->link_units - t->a.units;
    if (owned)
        domain_turned(l->pl, domain, now);
    h->domain_in_hand = 0;
    if (r == LINK_MORE)
        return r;
    free(l->rest);
    l->rest = NULL;
    return r;
}

int link_feed(struct link *l, const uint8_t *p, size_t n, struct buf *out, struct when now)
{
    struct turn t = {.open = false};
    assert(!l->rest);
    if (l->state == LINK_CLOSING)
        return -ERR_CLOSED;
    return turn(l, &t, p, n, out, now);
}

int link_go_on(struct link *l, struct buf *out, struct when now)
{
    assert(l->rest);
    struct turn t = l->rest->t;
    return turn(l, &t, l->rest->p, l->rest->n, out, now);
}

size_t link_partial(const struct link *l)
{
    return l->reader.cap + (l->rest ? l->rest->size : 0);
}

void link_ack(struct link *l, struct buf *out)
{
    if (l->state != LINK_OPEN || !l->wants_ack)
        return;
    const uint64_t applied = session_at(l->pl->st, l->session)->applied;
    if (applied == l->acked)
        return;
    encode_ack(out, applied);
    l->acked = applied;
}
