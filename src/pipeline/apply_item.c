#include "pipeline/apply_item.h"

#include "pipeline/link.h"
#include "pipeline/naming.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "pipeline/sampling.h"
#include "pipeline/span_metrics.h"
#include "store/cells.h"
#include "store/read.h"
#include "store/ring.h"
#include "store/series.h"
#include "wire/decode.h"
#include "wire/encode.h"

/* ---- rules: metrics of events ---- */

enum { RULES_PER_EVENT = 16 }; /* what COMMIT_ITEM_SETS has room for */

struct rule_target {
    struct link *l;
    struct when now;
    unsigned used;
};

static int rule_series(struct rule_target *to, const struct rule_update *u, uint32_t *series)
{
    struct pipeline *pl = to->l->pl;
    uint32_t metric;
    const int r =
        metric_define_by(pl->st, u->def, to->l->domain, pl->options.metrics_per_domain, &metric);
    if (r < 0)
        return r;
    struct series_ask ask = {.metric = metric, .domain = to->l->domain, .now = to->now};
    const int bad = naming_ask(pl, naming_session(pl, to->l->session), u->labels, u->nlabels, &ask);
    return bad < 0 ? bad : series_make(pl->st, &ask, series);
}

static bool rule_apply(struct rule_target *to, const struct rule_update *u)
{
    struct store *st = to->l->pl->st;
    uint32_t series;
    uint64_t cells;
    if (u->error || rule_series(to, u, &series) < 0)
        return false;
    const enum cell_op op = series_target(st, series, to->l->session, &cells);
    if (!cells || cell_check(op, u->def->type, u->bits))
        return false;
    series_touch(st, series, op, cells, to->now);
    (void)cell_apply(st, op, cells, u->bits, to->now.mono / (60 * NS_PER_S));
    return true;
}

static void on_rule(void *arg, const struct rule_update *u)
{
    struct rule_target *to = arg;
    const bool ok = to->used++ < RULES_PER_EVENT && rule_apply(to, u);
    own_add(&to->l->pl->own, ok ? OWN_RULE_MATCHES : OWN_RULE_FAILURES, 0, 1);
}

/* ---- items ---- */

enum store_ring_id apply_ring_of(enum event_kind kind)
{
    return kind == EVENT_SPAN ? RING_SPANS : RING_EVENTS;
}

/* Redacts in place; the body as the ring keeps it. */
static struct str redacted_body(struct pipeline *pl, struct event *e, struct str raw)
{
    struct redact_count n = {0};
    if (!pl->redact)
        return raw;
    buf_reset(&pl->redacted);
    redact_event(pl->redact, e, &pl->redacted, &n);
    if (n.all == 0)
        return raw;
    own_add_redacted(&pl->own, &n);
    buf_reset(&pl->body);
    encode_body(&pl->body, e);
    return buf_str(&pl->body);
}

/* Redacted, into its ring; DROP_MAX when it is there. */
static int keep(struct link *l, enum event_kind kind, struct str service, struct str raw,
                struct when now)
{
    struct pipeline *pl = l->pl;
    const struct str body = redacted_body(pl, &pl->event, raw);
    const struct ring_item record = {
        .kind = kind,
        .domain = l->domain,
        .session = l->session,
        .service = service,
        .body = body,
        .received = now.wall,
    };
    if (body.n == 0)
        return DROP_LIMIT;
    return ring_append(pl->st, apply_ring_of(kind), &record) < 0 ? DROP_RING_FULL : DROP_MAX;
}

/* Sampling and the metrics look at a span before it is redacted: what is left out need
 * not be, and the metrics' labels are redacted by themselves. */
static int keep_span(struct link *l, struct str service, struct str raw, bool room, struct when now)
{
    struct pipeline *pl = l->pl;
    const struct sample_span sample = {
        .event = &pl->event,
        .service = service,
        .domain = l->domain,
        .local_root = sampling_local_root(&pl->event),
    };
    const struct span_source from = {.service = service, .domain = l->domain};
    span_metrics_note(pl, &pl->event, &from, now);
    if (sampling_note(pl->sampling, &sample, pipeline_pressure(pl), now) == SAMPLE_DROP)
        return DROP_SAMPLED;
    if (!room)
        return DROP_RING_SHARE;
    if (!domain_span(pl, l->domain, now))
        return DROP_RATE_LIMITED;
    return keep(l, EVENT_SPAN, service, raw, now);
}

int apply_item(struct link *l, enum event_kind kind, const uint8_t **p, size_t *n, bool room,
               struct when now)
{
    struct pipeline *pl = l->pl;
    const uint8_t *begin = *p;
    const int bad = decode_item(kind, p, n, &pl->event);
    if (bad < 0)
        return (int)drop_of_error(bad);
    const struct str raw = {(const char *)begin + 4, (size_t)(*p - begin) - 4};
    const struct str service = naming_session(pl, l->session);
    if (kind == EVENT_SPAN)
        return keep_span(l, service, raw, room, now);
    const int why = room ? keep(l, kind, service, raw, now) : DROP_RING_SHARE;
    if (why == DROP_MAX && kind == EVENT_NAMED && pl->rules) {
        struct rule_target to = {l, now, 0};
        rules_match(pl->rules, &pl->event, on_rule, &to);
    }
    return why;
}
