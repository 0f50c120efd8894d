#include "pipeline/pipeline.h"

#include <stdlib.h>

#include "base/hash.h"
#include "model/limits.h"
#include "pipeline/link.h"
#include "pipeline/ring_sums.h"
#include "pipeline/span_metrics.h"
#include "store/budget.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "store/session.h"
#include "store/space.h"
#include "store/stream.h"

enum {
    IDLE_EPOCHS = 8,     /* steps of the idle clock in one idle time */
    PARTS_PER_UNIT = 16, /* contributions of a gauge that cost the sweep as much as a series */
};

void pipeline_defaults(struct pipeline_options *o)
{
    *o = (struct pipeline_options){
        .domains = 10,
        .cardinality = 100,
        .series_idle = 3600 * NS_PER_S,
        .gauge_grace = 30 * NS_PER_S,
        .session_keep = 24 * 3600 * NS_PER_S,
        .ids_per_connection = 4096,
        .rings_per_session = 64,
        .ids_total = 4000000,
        .target_info = true,
        .span_metrics = true,
        .connections_per_domain = 2000,
        .reader_still = 10 * NS_PER_S,
    };
    domain_defaults(&o->domain);
}

/* The connections of the daemon before are gone. */
static void end_sessions(struct store *st, struct when now)
{
    for (uint32_t i = 1; i < session_ids(st); i++) {
        const struct session_rec *r = table_get(st, TABLE_SESSIONS, i);
        if (r && r->ended == 0)
            session_set_ended(st, i, now.mono);
        if (!store_has_room(st))
            store_commit(st);
    }
    store_commit(st);
}

int pipeline_init(struct pipeline *pl, struct store *st, const struct pipeline_options *o,
                  struct when now)
{
    *pl = (struct pipeline){.st = st, .options = *o, .link_units = LINK_UNITS};
    buf_init(&pl->labels, LIMIT_LABEL_BYTES);
    buf_init(&pl->keys, (LIMIT_LABELS + 1) * (LIMIT_KEY + 1));
    buf_init(&pl->group, LIMIT_LABEL_BYTES);
    buf_init(&pl->overflow, LIMIT_LABEL_BYTES);
    buf_init(&pl->redacted, 4 * LIMIT_ITEM);
    buf_init(&pl->body, LIMIT_ITEM);
    buf_init(&pl->otlp_text, 2 * LIMIT_RECORD);
    buf_init(&pl->record, 2 * LIMIT_RECORD);
    buf_init(&pl->metric, LIMIT_RECORD);
    buf_init(&pl->points, LIMIT_RECORD);
    pl->epoch_next = now.mono + o->series_idle / IDLE_EPOCHS;
    pl->attached = calloc(table_capacity(st, TABLE_SESSIONS), sizeof *pl->attached);
    const int r = pl->attached ? own_init(&pl->own, st, o->domains, now) : -ERR_NOMEM;
    if (r < 0) {
        store_commit(st); /* what was declared stays */
        pipeline_fini(pl);
        return r;
    }
    end_sessions(st, now);
    domain_init(pl, now);
    own_set(&pl->own, OWN_STARTS, 0, st->head->starts);
    own_set(&pl->own, OWN_ROLLBACKS, 0, st->head->rollbacks);
    store_commit(st);
    return 0;
}

void pipeline_fini(struct pipeline *pl)
{
    ring_sums_free(pl->sums);
    own_fini(&pl->own);
    free(pl->attached);
    buf_fini(&pl->labels);
    buf_fini(&pl->keys);
    buf_fini(&pl->group);
    buf_fini(&pl->overflow);
    buf_fini(&pl->redacted);
    buf_fini(&pl->body);
    buf_fini(&pl->otlp_text);
    buf_fini(&pl->record);
    buf_fini(&pl->metric);
    buf_fini(&pl->points);
    exemplars_fini(&pl->exemplars);
    span_metrics_fini(pl);
}

unsigned pipeline_domain(const struct pipeline *pl, const struct peer *peer, struct str service,
                         struct str asked)
{
    const struct pipeline_options *o = &pl->options;
    if (o->choose_domain)
        return o->choose_domain(o->choose_arg, peer, service, asked) % o->domains;
    return (unsigned)(hash_bytes(service.p, service.n, peer->uid) % o->domains);
}

double pipeline_pressure(const struct pipeline *pl)
{
    const struct ring_head *ring = &pl->st->head->ring[RING_SPANS];
    const double size = (double)ring_span(pl->st, RING_SPANS);
    uint64_t behind = 0;
    for (unsigned c = CONSUMER_EXPORT; c < CONSUMER_MAX; c++) {
        const uint64_t n = ring->head - ring->consumer[c].cursor;
        if (n > behind && consumer_reads(pl->st, c, RING_SPANS))
            behind = n;
    }
    return (double)behind < size ? (double)behind / size : 1;
}

/* ---- the idle sweep ---- */

/* Returns what it cost above one unit. */
static unsigned sweep_series(struct pipeline *pl, uint32_t series)
{
    struct store *st = pl->st;
    if (series_age(st, series) <= IDLE_EPOCHS) {
        return series_prune_parts(st, series) / PARTS_PER_UNIT;
    }
    struct series_view s;
    const bool live = series_read(st, series, &s) && s.flags & SERIES_LIVE;
    (void)series_expire(st, series);
    own_add(&pl->own, OWN_SERIES_EXPIRED, 0, live); /* a dormant one was counted before */
    return 0;
}

static void sweep_session(struct pipeline *pl, uint32_t session, struct when now)
{
    struct store *st = pl->st;
    const struct session_rec *r = table_get(st, TABLE_SESSIONS, session);
    if (!r || r->ended == 0 || now.mono < r->ended)
        return;
    const uint64_t age = now.mono - r->ended;
    const bool silent = r->who >> WHO_FLAGS_SHIFT & SESSION_SILENT;
    if (age > pl->options.session_keep || session_is_leaving(st, session))
        session_forget(st, session);
    else if (age > pl->options.gauge_grace && !silent)
        session_set_silent(st, session);
}

static void sweep_stream(struct pipeline *pl, uint32_t stream)
{
    if (stream_age(pl->st, stream) > IDLE_EPOCHS)
        stream_expire(pl->st, stream);
}

/* One step of a sweep over indexes 1 to end - 1; false after the last. */
static bool advance(uint32_t *at, uint32_t end)
{
    if (++*at < end)
        return true;
    *at = 0;
    return false;
}

/* Each index once a round; a commit wherever the log is nearly full. */
bool pipeline_sweep(struct pipeline *pl, struct when now, unsigned units)
{
    struct store *st = pl->st;
    const uint64_t step = pl->options.series_idle / IDLE_EPOCHS;
    if (now.mono >= pl->epoch_next) {
        span_metrics_sweep(pl);
        series_next_epoch(st);
        pl->epoch_next = now.mono + step;
    }
    if (pl->epoch_next > now.mono + step)
        pl->epoch_next = now.mono + step; /* the idle time has become shorter */
    bool more_streams = true, more_series = true, more_sessions = true, more_metrics = true;
    for (unsigned n = 0;
         n < units && (more_streams || more_series || more_sessions || more_metrics); n++) {
        if (more_streams && (more_streams = advance(&pl->stream_at, stream_end(st))))
            sweep_stream(pl, pl->stream_at);
        if (more_series && (more_series = advance(&pl->series_at, table_end(st, TABLE_SERIES))))
            n += sweep_series(pl, pl->series_at);
        if (more_sessions && (more_sessions = advance(&pl->session_at, session_ids(st))))
            sweep_session(pl, pl->session_at, now);
        if (more_metrics && (more_metrics = advance(&pl->metric_at, metric_ids(st))))
            metric_remove(st, pl->metric_at);
        if (!store_has_room(st))
            store_commit(st);
    }
    store_commit(st);
    return more_streams || more_series || more_sessions || more_metrics;
}

/* ---- figures that are read off the store ---- */

static void refresh_consumer(struct pipeline *pl, unsigned i)
{
    struct own *o = &pl->own;
    struct consumer_view c;
    consumer_read(pl->st, (enum store_ring_id)(i % RING_MAX), (enum store_consumer)(i / RING_MAX),
                  &c);
    own_set(o, OWN_RING_READ, i, c.read);
    own_set(o, OWN_RING_OVERRUN, i, c.overrun);
    own_set(o, OWN_RING_WAITING, i, c.waiting);
    own_set(o, OWN_RING_DELIVERED, i, c.delivered);
    own_set(o, OWN_RING_FILTERED, i, c.filtered);
    own_set(o, OWN_RING_FAILED, i, c.failed);
}

static void refresh_domain(struct pipeline *pl, unsigned d)
{
    const struct store_use u = budget_use(pl->st, d);
    own_set(&pl->own, OWN_CONNECTIONS, d, pl->domain_sessions[d]);
    own_set(&pl->own, OWN_DOMAIN_SERIES, d, u.series);
    own_set(&pl->own, OWN_DOMAIN_METRICS, d, u.metrics);
    own_set(&pl->own, OWN_DOMAIN_STREAMS, d, u.streams);
    own_set(&pl->own, OWN_DOMAIN_HEAP, d, u.heap);
    own_set(&pl->own, OWN_DOMAIN_RING, d,
            u.ring[RING_EVENTS] + u.ring[RING_SPANS] + u.ring[RING_POINTS]);
    domain_refresh(pl, d);
}

void pipeline_refresh(struct pipeline *pl)
{
    struct store *st = pl->st;
    struct own *o = &pl->own;
    for (unsigned d = 0; d < pl->options.domains; d++)
        refresh_domain(pl, d);
    own_set(o, OWN_SESSIONS, 0, st->head->table[TABLE_SESSIONS].live);
    own_set(o, OWN_SERIES, 0, series_count(st));
    own_set(o, OWN_OTLP_STREAMS, 0, st->head->table[TABLE_STREAMS].live);
    own_set(o, OWN_STORE_BYTES, 0, st->size);
    own_set(o, OWN_STORE_RESERVED, 0, store_bytes_reserved(st));
    for (unsigned r = 0; r < RING_MAX; r++)
        own_set(o, OWN_RING_APPENDED, r, st->head->ring[r].head_seq);
    for (unsigned i = 0; i < CONSUMER_MAX * RING_MAX; i++)
        refresh_consumer(pl, i);
    if (pl->refresh)
        pl->refresh(pl->refresh_arg);
    store_commit(st);
}
