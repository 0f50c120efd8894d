/* pipeline: what every input shares on its way into the store. Floor 3. */
#ifndef MCPTALLY_PIPELINE_PIPELINE_H
#define MCPTALLY_PIPELINE_PIPELINE_H

#include "base/buf.h"
#include "model/event.h"
#include "pipeline/domain.h"
#include "pipeline/exemplar.h"
#include "pipeline/own.h"
#include "pipeline/ring_share.h"
#include "store/store.h"

struct rules;
struct redact;
struct sampling;
struct span_spot;
struct ring_sums;

struct peer { /* of a producer's connection, from SO_PEERCRED */
    uint32_t uid, gid;
    uint32_t pid;
};

enum { DOMAINS_MAX = STORE_DOMAINS, OPTION_LABELS = 16 };

/* Settings, from the configuration; all reloadable but `domains`. */
struct pipeline_options {
    unsigned domains;     /* failure domains, 1 to DOMAINS_MAX (10) */
    unsigned cardinality; /* label sets per (metric, domain, service) before overflow (100) */
    uint32_t series_per_domain, metrics_per_domain; /* 0: half of what the store has room for */
    uint64_t series_idle;        /* ns without an update until a series expires (1 h) */
    uint64_t gauge_grace;        /* ns a joined gauge keeps an ended session's part (30 s) */
    uint64_t session_keep;       /* ns a session without BYE is kept (24 h) */
    uint32_t ids_per_connection; /* series ids and metric ids of one connection (4096) */
    uint64_t ids_total;          /* the same of all connections together (4,000,000) */
    uint32_t rings_per_session;  /* shared rings of one session; 0: none are read (64) */
    /* Of OTLP metrics: whether their resources are shown as target_info (yes), whether the
     * scope makes labels (no), which attributes of the resource do (none). */
    bool target_info, scope_labels;
    unsigned nresource_labels;
    struct str resource_labels[OPTION_LABELS]; /* borrowed */
    /* Whether OTLP metrics are kept as they came, for exporters that send them on (no). */
    bool forward_points;
    /* Whether spans make metrics (yes), and attributes that are labels of these (none). */
    bool span_metrics;
    unsigned nspan_dimensions;
    struct str span_dimensions[OPTION_LABELS]; /* borrowed */
    /* The configured mapping of producers to domains; NULL: a hash of uid and service. */
    unsigned (*choose_domain)(void *arg, const struct peer *peer, struct str service,
                              struct str asked);
    void *choose_arg;
    struct domain_options domain;    /* what each may do */
    unsigned connections_per_domain; /* 0: no limit (2,000) */
    uint64_t reader_still; /* ns after which a ring's reader that stands still is overrun (10 s) */
};

/* Who reads shared rings: the edge. What a link is told of them it passes on. */
struct link;
struct ring_offer;
struct ring_edge {
    /* A ring is offered, or has ended. -ERR_SYNTAX: its memory did not come with it. */
    int (*offered)(void *arg, struct link *l, const struct ring_offer *o);
    void (*bell)(void *arg, struct link *l, uint64_t token);
    void *arg;
};

struct pipeline {
    struct store *st;
    struct own own;
    struct pipeline_options options;
    struct domains domains;
    struct ring_shares shares;
    const struct rules
        *rules; /* event rules; NULL: none. Borrowed, may be replaced between feeds */
    const struct redact *redact;   /* NULL: none. Borrowed likewise */
    struct sampling *sampling;     /* NULL: none. Borrowed likewise */
    const struct ring_edge *rings; /* NULL: none are read. Borrowed */
    struct span_spot *spots;       /* cache of span_metrics.h */
    struct ring_sums *sums;        /* of link_ring.h; NULL until a ring is read */
    struct exemplars exemplars;
    uint16_t *attached;                                   /* per session: links that have it now */
    uint32_t domain_sessions[DOMAINS_MAX];                /* links attached, by domain */
    uint32_t stream_at, series_at, session_at, metric_at; /* where the sweeps go on */
    uint64_t epoch_next; /* mono ns of the idle clock's next step */
    struct buf labels, keys, group, overflow, redacted, body; /* scratch */
    struct buf otlp_text, record, metric;                     /* scratch of OTLP items */
    struct buf points; /* of a metric in hand that go on as they came; empty between steps */
    struct event event;
    uint64_t welcomed;          /* links that were welcome so far */
    uint64_t ids;               /* room for ids that all links hold */
    unsigned link_units;        /* of work in one turn of a link: LINK_UNITS, or less in tests */
    void (*refresh)(void *arg); /* of pipeline_refresh(): gauges of the edges; may be NULL */
    void *refresh_arg;
};

void pipeline_defaults(struct pipeline_options *o);

/* Declares the own metrics and ends the sessions of the daemon before. 0,
 * -ERR_FULL, -ERR_NOMEM. */
int pipeline_init(struct pipeline *pl, struct store *st, const struct pipeline_options *o,
                  struct when now);
void pipeline_fini(struct pipeline *pl);

/* The domain that a producer falls into: as the configuration says, else by a hash of
 * user and service name. `asked`: what it asks for itself; may be empty. */
unsigned pipeline_domain(const struct pipeline *pl, const struct peer *peer, struct str service,
                         struct str asked);

/* How full the span ring is of what an exporter that reads it has not read, 0 to 1. */
double pipeline_pressure(const struct pipeline *pl);

/* A bounded step of the idle clock: expires series, sessions and gauge parts.
 * To be called about once a second; looks at up to `units` records. Returns
 * true when it wants to go on at once. */
bool pipeline_sweep(struct pipeline *pl, struct when now, unsigned units);

/* Brings the own gauges that are read off the store, or at the edges, up to date; before a
 * page. */
void pipeline_refresh(struct pipeline *pl);

#endif
