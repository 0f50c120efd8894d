#include "pipeline/own.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/bytes.h"
#include "base/log.h"
#include "model/event.h"
#include "pipeline/domain.h"
#include "pipeline/redact.h"
#include "store/cells.h"
#include "store/read.h"
#include "store/series.h"
#include "store/space.h"
#include "store/stream.h"

enum { LABELS = OWN_TEXT + 64 }; /* bytes of one series' */
enum { WORD = 8, REJECT_FIRST = 256, REJECTS = DROP_MAX + REJECT_END - REJECT_FIRST };

struct row {
    const char *name, *unit, *help;
    enum metric_kind kind;
    enum value_type type;
    enum own_label label;
};

static const struct row rows[OWN_MAX] = {
#define X(sym, nam, knd, typ, unt, lab, hlp) {nam, unt, hlp, METRIC_##knd, VALUE_##typ, lab},
    OWN_TABLE(X)
#undef X
};

static const double callback_bounds[] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                         0.001,   0.0025,   0.005,   0.01,   0.1,     1};
/* From a connection on this machine to a command that hangs; and of an outage. */
static const double check_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                      0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    30};
static const double outage_bounds[] = {1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600, 3600, 86400};

static const struct bounds {
    enum own_metric m;
    const double *all;
    size_t bytes;
} bounds[] = {
    {OWN_CALLBACK, callback_bounds, sizeof callback_bounds},
    {OWN_CHECK_DURATION, check_bounds, sizeof check_bounds},
    {OWN_CHECK_DETECT, outage_bounds, sizeof outage_bounds},
    {OWN_CHECK_RECOVER, outage_bounds, sizeof outage_bounds},
};

static const char *const ring_names[RING_MAX] = {"events", "spans", "points"};
static const char *const port_names[] = {"metrics", "health", "otlp_http"};
static const char *const protocol_names[] = {"grpc", "http"};
static const char *const signal_names[OWN_SIGNALS] = {"traces", "metrics", "logs"};
static const char *const tier_names[] = {"debug", "normal", "critical"};
static const char *const verdict_names[] = {"probability", "error", "slow", "forced", "left_out"};

static const struct otlp_code {
    const char *word;
    unsigned code;
} otlp_codes[] = {
#define X(word, code) {word, code},
    OWN_CODE_TABLE(X)
#undef X
};

static const char *const limit_names[OWN_LIMITS] = {
#define X(sym, word) word,
    OWN_LIMIT_TABLE(X)
#undef X
};

static const char *const reason_names[OWN_HTTP_REASONS] = {
#define X(sym, word) word,
    OWN_HTTP_REASON_TABLE(X)
#undef X
};

enum {
    PORTS = sizeof port_names / sizeof *port_names,
    PROTOCOLS = sizeof protocol_names / sizeof *protocol_names,
    CODES = sizeof otlp_codes / sizeof *otlp_codes,
    CODE_INTERNAL = 13,
};

/* ---- label dimensions ---- */

unsigned own_otlp_index(unsigned protocol, unsigned signal, unsigned code)
{
    unsigned i = 0, other = 0;
    for (; i < CODES && otlp_codes[i].code != code; i++)
        if (otlp_codes[i].code == CODE_INTERNAL)
            other = i;
    return (protocol * OWN_SIGNALS + signal) * CODES + (i < CODES ? i : other);
}

static int domain_text(enum own_label label, unsigned i, char *to, size_t size)
{
    if (label == OWN_DROP)
        return snprintf(to, size, "domain=\"%u\",reason=\"%s\"", i / DROP_MAX,
                        drop_name(i % DROP_MAX));
    if (label == OWN_WINDOW)
        return snprintf(to, size, "domain=\"%u\",window=\"%s\"", i / DOMAIN_WINDOWS,
                        domain_window_name(i % DOMAIN_WINDOWS));
    return snprintf(to, size, "domain=\"%u\"", i);
}

static int otlp_text(enum own_label label, unsigned i, char *to, size_t size)
{
    if (label == OWN_LIMIT)
        return snprintf(to, size, "limit=\"%s\"", limit_names[i]);
    if (label == OWN_PROTOCOL)
        return snprintf(to, size, "protocol=\"%s\"", protocol_names[i]);
    const unsigned lane = i / CODES;
    return snprintf(to, size, "code=\"%s\",protocol=\"%s\",signal=\"%s\"",
                    otlp_codes[i % CODES].word, protocol_names[lane / OWN_SIGNALS],
                    signal_names[lane % OWN_SIGNALS]);
}

unsigned own_reject_index(unsigned reason)
{
    return reason < REJECT_FIRST ? reason : DROP_MAX + reason - REJECT_FIRST;
}

static unsigned reject_of_index(unsigned index)
{
    return index < DROP_MAX ? index : index - DROP_MAX + REJECT_FIRST;
}

/* Series of each destination and signal; 0: the metric has no such label. */
static unsigned lane_each(enum own_label label)
{
    return label == OWN_LANE      ? 1
           : label == OWN_OUTCOME ? OWN_OUTCOMES
           : label == OWN_ANSWER  ? OWN_ANSWERS
                                  : 0;
}

/* Series of each domain; 0: the metric has no such label. */
static unsigned domain_each(enum own_label label)
{
    return label == OWN_DOMAIN   ? 1
           : label == OWN_DROP   ? DROP_MAX
           : label == OWN_WINDOW ? DOMAIN_WINDOWS
                                 : 0;
}

static const unsigned kind_most[OWN_KINDS] = {
#define X(sym, most) most,
    OWN_KIND_TABLE(X)
#undef X
};

/* Series of each thing of a kind; 0: the metric has no such label. */
static unsigned name_each(enum own_label label, enum own_kind *kind)
{
    *kind = label == OWN_ACTION    ? OWN_KIND_ACTIONS
            : label == OWN_PROCESS ? OWN_KIND_PROCESSES
                                   : OWN_KIND_CHECKS;
    switch (label) {
    case OWN_CHECK:
    case OWN_PROCESS:
        return 1;
    case OWN_CHECKED:
        return OWN_RESULTS;
    case OWN_ACTION:
        return OWN_ACTION_OUTCOMES;
    default:
        return 0;
    }
}

/* How many series a metric of this label has, all domains together. */
static unsigned dimension(enum own_label label, unsigned domains)
{
    enum own_kind kind;
    const unsigned each = name_each(label, &kind);
    if (each)
        return kind_most[kind] * each;
    switch (label) {
    case OWN_DOMAIN:
    case OWN_DROP:
    case OWN_WINDOW:
        return domains * domain_each(label);
    case OWN_REJECT:
        return REJECTS;
    case OWN_LOST:
        return LOST_MAX;
    case OWN_CONSUMER:
        return CONSUMER_MAX * RING_MAX;
    case OWN_RING:
        return RING_MAX;
    case OWN_PORT:
        return PORTS;
    case OWN_HTTP:
        return PORTS * OWN_HTTP_REASONS;
    case OWN_RESULT:
        return 2;
    case OWN_STATE:
        return HEALTH_UNHEALTHY + 1;
    case OWN_REDACT:
        return SECRET_RULES * REDACT_PLACES;
    case OWN_LANE:
    case OWN_OUTCOME:
    case OWN_ANSWER:
        return OWN_LANES * lane_each(label);
    case OWN_OTLP:
        return PROTOCOLS * OWN_SIGNALS * CODES;
    case OWN_PROTOCOL:
        return PROTOCOLS;
    case OWN_LIMIT:
        return OWN_LIMITS;
    case OWN_LEVEL:
        return LOG_LEVELS;
    case OWN_TIER:
        return sizeof tier_names / sizeof *tier_names;
    case OWN_VERDICT:
        return sizeof verdict_names / sizeof *verdict_names;
    default:
        break;
    }
    return 1;
}

/* A thing's own labels, and what else its series is told by; empty for what is no thing. */
static int name_text(const struct own *o, enum own_label label, unsigned i, char *to, size_t size)
{
    enum own_kind kind;
    const unsigned each = name_each(label, &kind);
    const char *name = each ? o->names[kind][i / each] : "";
    if (label == OWN_CHECKED)
        return snprintf(to, size, "%s,result=\"%s\"", name, own_result_name(i % each));
    if (label == OWN_ACTION)
        return snprintf(to, size, "%s,outcome=\"%s\"", name, own_action_name(i % each));
    return snprintf(to, size, "%s", name);
}

static int lane_text(const struct own *o, enum own_label label, unsigned i, char *to, size_t size)
{
    const unsigned each = lane_each(label), lane = i / each;
    const char *name = o->destination[lane / OWN_SIGNALS];
    const char *signal = signal_names[lane % OWN_SIGNALS];
    if (label == OWN_OUTCOME)
        return snprintf(to, size, "destination=\"%s\",outcome=\"%s\",signal=\"%s\"", name,
                        own_outcome_name(i % each), signal);
    if (label == OWN_ANSWER)
        return snprintf(to, size, "destination=\"%s\",result=\"%s\",signal=\"%s\"", name,
                        own_answer_name(i % each), signal);
    return snprintf(to, size, "destination=\"%s\",signal=\"%s\"", name, signal);
}

/* The canonical label text of one series. */
static struct str label_text(const struct own *o, enum own_label label, unsigned i, char *to,
                             size_t size)
{
    const struct str consumer = consumer_name(o->st, i / RING_MAX);
    int n = 0;
    switch (label) {
    case OWN_DOMAIN:
    case OWN_DROP:
    case OWN_WINDOW:
        n = domain_text(label, i, to, size);
        break;
    case OWN_REJECT:
        n = snprintf(to, size, "reason=\"%s\"", reject_name(reject_of_index(i)));
        break;
    case OWN_LOST:
        n = snprintf(to, size, "reason=\"%s\"", lost_name(i));
        break;
    case OWN_CONSUMER:
        n = snprintf(to, size, "consumer=\"%.*s\",ring=\"%s\"", (int)consumer.n, consumer.p,
                     ring_names[i % RING_MAX]);
        break;
    case OWN_RING:
        n = snprintf(to, size, "ring=\"%s\"", ring_names[i]);
        break;
    case OWN_PORT:
        n = snprintf(to, size, "port=\"%s\"", port_names[i]);
        break;
    case OWN_HTTP:
        n = snprintf(to, size, "port=\"%s\",reason=\"%s\"", port_names[i / OWN_HTTP_REASONS],
                     reason_names[i % OWN_HTTP_REASONS]);
        break;
    case OWN_RESULT:
        n = snprintf(to, size, "result=\"%s\"", i ? "error" : "ok");
        break;
    case OWN_STATE:
        n = snprintf(to, size, "state=\"%s\"", health_name(i));
        break;
    case OWN_REDACT:
        n = snprintf(to, size, "place=\"%s\",rule=\"%s\"", redact_place_name(i % REDACT_PLACES),
                     secret_rule_name(i / REDACT_PLACES));
        break;
    case OWN_LANE:
    case OWN_OUTCOME:
    case OWN_ANSWER:
        n = lane_text(o, label, i, to, size);
        break;
    case OWN_OTLP:
    case OWN_PROTOCOL:
    case OWN_LIMIT:
        n = otlp_text(label, i, to, size);
        break;
    case OWN_LEVEL:
        n = snprintf(to, size, "level=\"%s\"", log_level_name((enum log_level)i));
        break;
    case OWN_TIER:
        n = snprintf(to, size, "tier=\"%s\"", tier_names[i]);
        break;
    case OWN_VERDICT:
        n = snprintf(to, size, "verdict=\"%s\"", verdict_names[i]);
        break;
    default:
        n = name_text(o, label, i, to, size);
    }
    assert(n >= 0 && (size_t)n < size);
    return (struct str){to, (size_t)n};
}

/* ---- declaring ---- */

static int make_series(struct own *o, uint32_t metric, struct str labels, struct when now,
                       uint64_t *cells)
{
    const struct series_ask ask = {
        .metric = metric, .labels = labels, .flags = SERIES_PINNED, .now = now};
    struct series_view s;
    uint32_t i;
    const int r = series_make(o->st, &ask, &i);
    if (r < 0)
        return r;
    if (!series_read(o->st, i, &s))
        return -ERR_DAMAGED;
    *cells = s.cells;
    store_commit(o->st);
    return 0;
}

/* Removes a metric with its streams and series. At the start no connection holds
 * an id. */
static void evict(struct store *st, uint32_t metric)
{
    struct metric_view m;
    struct metric_rec *r = table_get(st, TABLE_METRICS, metric);
    STORE_SET(st, r->own, r->own & ~(uint64_t)METRIC_OWN);
    store_commit(st);
    stream_remove_all(st, metric);
    while (metric_read(st, metric, &m) && m.first) {
        series_expire(st, m.first);
        store_commit(st);
    }
    metric_remove(st, metric);
    store_commit(st);
}

/* A name that is new in this version may be a producer's in the store, and a metric
 * of ours may have been of another kind: ours goes first. */
static int declare(struct own *o, enum own_metric m)
{
    const struct row *row = &rows[m];
    struct metric_def def = {
        .name = str_of(row->name),
        .unit = str_of(row->unit),
        .help = str_of(row->help),
        .kind = row->kind,
        .type = row->type,
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (bounds[i].m != m)
            continue;
        def.nbounds = (unsigned)(bounds[i].bytes / sizeof(double));
        memcpy(def.bounds, bounds[i].all, bounds[i].bytes);
    }
    for (uint32_t other; (other = metric_in_the_way(o->st, &def)) != 0;)
        evict(o->st, other);
    const int r = metric_define(o->st, &def, true, &o->metric[m]);
    store_commit(o->st);
    return r;
}

/* Series [first, first + n) of one metric. */
static int declare_series(struct own *o, enum own_metric m, unsigned first, unsigned n,
                          struct when now)
{
    char text[LABELS];
    if (!o->metric[m])
        return -ERR_FULL;
    for (unsigned i = first; i < first + n; i++) {
        const struct str labels = label_text(o, rows[m].label, i, text, sizeof text);
        const int r = make_series(o, o->metric[m], labels, now, &o->cells[m][i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The series of these come when what they count is there. */
static bool comes_later(enum own_label label)
{
    enum own_kind kind;
    return domain_each(label) || label == OWN_CONSUMER || label == OWN_INFO || lane_each(label) ||
           name_each(label, &kind);
}

/* The own series of a daemon before that this one does not have (another
 * version's info, a label value that is gone) would stay for ever: unpin them. */
static void unpin_all(struct store *st)
{
    struct metric_view m;
    struct series_view s;
    for (uint32_t id = 1; id < metric_ids(st); id++) {
        if (!metric_read(st, id, &m) || !m.own)
            continue;
        for (uint32_t i = m.first; i && series_read(st, i, &s); i = s.next) {
            if (!(s.flags & SERIES_PINNED))
                continue;
            series_pin(st, i, false);
            if (!store_has_room(st))
                store_commit(st);
        }
    }
    store_commit(st);
}

/* The ledgers of the domains that had one go on. One that found no room when it was
 * begun has never had a session: it is tried again when there is one. */
static int resume_domains(struct own *o, struct when now)
{
    char text[LABELS];
    for (unsigned d = 0; d < o->domains; d++) {
        const struct str labels = label_text(o, OWN_DOMAIN, d, text, sizeof text);
        if (!series_find(o->st, o->metric[OWN_RECEIVED], labels))
            continue;
        const int r = own_domain(o, d, now);
        if (r < 0 && r != -ERR_FULL)
            return r;
    }
    return 0;
}

/* One metric and, unless they come later, its series, as far as there is room. */
static int declare_one(struct own *o, enum own_metric m, struct when now)
{
    int r = o->metric[m] ? 0 : declare(o, m);
    if (r == 0 && !comes_later(rows[m].label))
        r = declare_series(o, m, 0, dimension(rows[m].label, o->domains), now);
    return r == -ERR_FULL ? 0 : r;
}

static unsigned count_missing(const struct own *o)
{
    unsigned n = 0;
    for (int m = 0; m < OWN_MAX; m++) {
        n += o->metric[m] == 0;
        for (unsigned i = 0;
             !comes_later(rows[m].label) && i < dimension(rows[m].label, o->domains); i++)
            n += o->cells[m][i] == 0;
    }
    return n;
}

/* A store that producers had filled before this version had more metrics of its own must
 * not keep the daemon from starting: it counts what it can, and says what it cannot. */
static void say_missing(struct own *o, unsigned before)
{
    own_set(o, OWN_OWN_MISSING, 0, o->missing);
    store_commit(o->st);
    if (o->missing && !before)
        log_warn("store", "no room for %u of the daemon's own metrics and series; raise store.size",
                 o->missing);
    else if (!o->missing && before)
        log_info("store", "there is room for all of the daemon's own metrics again");
}

void own_complete(struct own *o, struct when now)
{
    const unsigned before = o->missing;
    if (!before)
        return;
    for (int m = 0; m < OWN_MAX; m++)
        (void)declare_one(o, (enum own_metric)m, now);
    o->missing = count_missing(o);
    say_missing(o, before);
}

int own_init(struct own *o, struct store *st, unsigned domains, struct when now)
{
    *o = (struct own){.st = st, .domains = domains};
    for (int k = 0; k < OWN_KINDS; k++) {
        o->names[k] = calloc(kind_most[k], sizeof *o->names[k]);
        if (!o->names[k])
            return -ERR_NOMEM;
    }
    unpin_all(st);
    for (int m = 0; m < OWN_MAX; m++) {
        o->cells[m] = calloc(dimension(rows[m].label, domains), sizeof *o->cells[m]);
        if (!o->cells[m])
            return -ERR_NOMEM;
        const int r = declare_one(o, (enum own_metric)m, now);
        if (r < 0)
            return r;
    }
    o->missing = count_missing(o);
    say_missing(o, 0);
    const int r = own_consumers(o, now);
    return r < 0 && r != -ERR_FULL ? r : resume_domains(o, now);
}

void own_fini(struct own *o)
{
    for (int m = 0; m < OWN_MAX; m++)
        free(o->cells[m]);
    for (int k = 0; k < OWN_KINDS; k++)
        free(o->names[k]);
    *o = (struct own){0};
}

/* Without these nothing of a domain could be accounted for. */
static bool is_ledger(enum own_metric m, unsigned each)
{
    return m == OWN_RECEIVED || m == OWN_APPLIED || m == OWN_DUPLICATES || each == DROP_MAX;
}

static bool has_ledger(const struct own *o, unsigned domain)
{
    return o->cells[OWN_RECEIVED][domain] && o->cells[OWN_APPLIED][domain] &&
           o->cells[OWN_DUPLICATES][domain] &&
           o->cells[OWN_DROPPED][own_drop_index(domain, DROP_SERIES_FULL)];
}

int own_domain(struct own *o, unsigned domain, struct when now)
{
    for (int ledger = 1; ledger >= 0; ledger--) {
        for (int m = 0; m < OWN_MAX; m++) {
            const unsigned each = domain_each(rows[m].label);
            if (!each || is_ledger((enum own_metric)m, each) != ledger ||
                o->cells[m][domain * each + each - 1])
                continue;
            const int r = declare_series(o, (enum own_metric)m, domain * each, each, now);
            if (r < 0 && r != -ERR_FULL)
                return r;
            if (r < 0)
                return has_ledger(o, domain) ? 0 : r;
        }
    }
    return 0;
}

void own_dropped(struct own *o, unsigned domain, unsigned reason, uint64_t n)
{
    const bool there = o->cells[OWN_DROPPED][own_drop_index(domain, reason)];
    own_add(o, OWN_DROPPED, own_drop_index(domain, there ? reason : DROP_SERIES_FULL), n);
}

/* ---- destinations ---- */

int own_destination(struct own *o, unsigned slot, struct str name, unsigned signals,
                    struct when now)
{
    assert(slot < OWN_DESTINATIONS && name.n > 0 && name.n < OWN_NAME);
    memcpy(o->destination[slot], name.p, name.n);
    o->destination[slot][name.n] = '\0';
    int r = 0;
    for (int m = 0; m < OWN_MAX && r == 0; m++) {
        const unsigned each = lane_each(rows[m].label);
        for (unsigned s = 0; each && s < OWN_SIGNALS && r == 0; s++)
            if (signals & 1u << s && !o->cells[m][own_lane_index(slot, s) * each])
                r = declare_series(o, (enum own_metric)m, own_lane_index(slot, s) * each, each,
                                   now);
    }
    return r;
}

static void unpin(struct own *o, enum own_metric m, unsigned index)
{
    struct metric_view view;
    char text[LABELS];
    const struct str labels = label_text(o, rows[m].label, index, text, sizeof text);
    struct series_view s;
    o->cells[m][index] = 0;
    if (!metric_read(o->st, o->metric[m], &view))
        return;
    for (uint32_t i = view.first; i && series_read(o->st, i, &s); i = s.next)
        if (str_eq(s.labels, labels))
            series_pin(o->st, i, false);
    store_commit(o->st);
}

void own_forget_destination(struct own *o, unsigned slot)
{
    for (int m = 0; m < OWN_MAX; m++) {
        const unsigned each = lane_each(rows[m].label), first = own_lane_index(slot, 0) * each;
        for (unsigned i = first; i < first + OWN_SIGNALS * each; i++)
            if (o->cells[m][i])
                unpin(o, (enum own_metric)m, i);
    }
    o->destination[slot][0] = '\0';
}

/* ---- things of a kind ---- */

int own_name(struct own *o, enum own_kind kind, unsigned slot, struct str labels, struct when now)
{
    assert(slot < kind_most[kind] && labels.n > 0 && labels.n < OWN_TEXT);
    memcpy(o->names[kind][slot], labels.p, labels.n);
    o->names[kind][slot][labels.n] = '\0';
    int r = 0;
    for (int m = 0; m < OWN_MAX && r == 0; m++) {
        enum own_kind of;
        const unsigned each = name_each(rows[m].label, &of);
        if (each && of == kind && !o->cells[m][slot * each])
            r = declare_series(o, (enum own_metric)m, slot * each, each, now);
    }
    return r;
}

static void leave_series(struct own *o, enum own_metric m, uint64_t cells);

void own_forget_name(struct own *o, enum own_kind kind, unsigned slot, bool end)
{
    for (int m = 0; m < OWN_MAX; m++) {
        enum own_kind of;
        const unsigned each = name_each(rows[m].label, &of);
        for (unsigned i = slot * each; of == kind && i < (slot + 1) * each; i++) {
            const uint64_t cells = o->cells[m][i];
            if (cells)
                unpin(o, (enum own_metric)m, i);
            if (end)
                leave_series(o, (enum own_metric)m, cells);
            store_commit(o->st);
        }
    }
    o->names[kind][slot][0] = '\0';
}

void own_sweep_names(struct own *o, enum own_kind kind)
{
    struct metric_view view;
    struct series_view s;
    for (int m = 0; m < OWN_MAX; m++) {
        enum own_kind of;
        if (!name_each(rows[m].label, &of) || of != kind ||
            !metric_read(o->st, o->metric[m], &view))
            continue;
        for (uint32_t i = view.first, next; i && series_read(o->st, i, &s); i = next) {
            next = s.next;
            if (!(s.flags & SERIES_PINNED))
                (void)series_expire(o->st, i);
            store_commit(o->st);
        }
    }
}

/* ---- consumers ---- */

/* The row of a consumer has gone to another, or the ring is not read any more: the series
 * ends at once, since a gauge would go on showing what waited last. */
static void leave_series(struct own *o, enum own_metric m, uint64_t cells)
{
    struct metric_view view;
    struct series_view s;
    if (!cells || !metric_read(o->st, o->metric[m], &view))
        return;
    for (uint32_t i = view.first; i && series_read(o->st, i, &s); i = s.next) {
        if (s.cells != cells)
            continue;
        series_pin(o->st, i, false);
        (void)series_expire(o->st, i);
        return;
    }
}

static int own_consumer(struct own *o, enum own_metric m, unsigned i, struct when now)
{
    const uint64_t before = o->cells[m][i];
    o->cells[m][i] = 0;
    if (consumer_reads(o->st, i / RING_MAX, (enum store_ring_id)(i % RING_MAX))) {
        const int r = declare_series(o, m, i, 1, now);
        if (r < 0)
            return r;
    }
    if (o->cells[m][i] != before)
        leave_series(o, m, before);
    store_commit(o->st);
    return 0;
}

int own_consumers(struct own *o, struct when now)
{
    for (int m = 0; m < OWN_MAX; m++) {
        if (rows[m].label != OWN_CONSUMER)
            continue;
        for (unsigned i = 0; i < CONSUMER_MAX * RING_MAX; i++) {
            const int r = own_consumer(o, (enum own_metric)m, i, now);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* What an earlier version or another host name has left. */
static void expire_others(struct own *o, uint32_t metric, struct str labels)
{
    struct metric_view m;
    struct series_view s;
    if (!metric_read(o->st, metric, &m))
        return;
    for (uint32_t i = m.first, next; i && series_read(o->st, i, &s); i = next) {
        next = s.next;
        if (str_eq(s.labels, labels))
            continue;
        series_pin(o->st, i, false);
        (void)series_expire(o->st, i);
        store_commit(o->st);
    }
}

void own_info(struct own *o, enum own_metric m, struct str canonical_labels, struct when now)
{
    uint64_t cells;
    if (!o->metric[m] || make_series(o, o->metric[m], canonical_labels, now, &cells) < 0)
        return;
    expire_others(o, o->metric[m], canonical_labels);
    o->cells[m][0] = cells;
    own_set(o, m, 0, 1);
    store_commit(o->st);
}

/* ---- changing ---- */

void own_add(struct own *o, enum own_metric m, unsigned index, uint64_t n)
{
    const uint64_t cells = o->cells[m][index];
    if (cells)
        store_add(o->st, cells + CELL_VALUE * WORD, n);
}

void own_add_redacted(struct own *o, const struct redact_count *n)
{
    for (unsigned i = 0; n->all && i < SECRET_RULES * REDACT_PLACES; i++)
        if (n->n[i / REDACT_PLACES][i % REDACT_PLACES])
            own_add(o, OWN_REDACTED, i, n->n[i / REDACT_PLACES][i % REDACT_PLACES]);
}

uint64_t own_redacted(const struct own *o, unsigned place)
{
    uint64_t n = 0;
    for (unsigned rule = 0; rule < SECRET_RULES; rule++)
        n += own_get(o, OWN_REDACTED, rule * REDACT_PLACES + place);
    return n;
}

void own_set(struct own *o, enum own_metric m, unsigned index, uint64_t v)
{
    const uint64_t cells = o->cells[m][index];
    if (cells && store_get(o->st, cells + CELL_VALUE * WORD) != v)
        store_set(o->st, cells + CELL_VALUE * WORD, v);
}

void own_setf_at(struct own *o, enum own_metric m, unsigned index, double v)
{
    own_set(o, m, index, f64_bits(v));
}

void own_setf(struct own *o, enum own_metric m, double v)
{
    own_setf_at(o, m, 0, v);
}

void own_observe_at(struct own *o, enum own_metric m, unsigned index, double v)
{
    const uint64_t cells = o->cells[m][index];
    if (cells)
        (void)cell_apply(o->st, CELL_OBSERVE, cells, f64_bits(v), 0);
}

void own_observe(struct own *o, enum own_metric m, double v)
{
    own_observe_at(o, m, 0, v);
}

uint64_t own_get(const struct own *o, enum own_metric m, unsigned index)
{
    const uint64_t cells = o->cells[m][index];
    return cells ? store_get(o->st, cells + CELL_VALUE * WORD) : 0;
}
