#include "format/domain_doc.h"

#include <stdio.h>

#include "format/ledger.h"
#include "store/read.h"
#include "store/series.h"

unsigned domain_doc_count(const struct store *st)
{
    unsigned n = 0;
    while (n < STORE_DOMAINS && store_domain(st, n) && store_domain(st, n)->begun)
        n++;
    return n;
}

/* The value of an own metric of a domain; 0 when there is none yet. */
static uint64_t own_value(const struct store *st, const char *metric, unsigned d)
{
    struct metric_view m;
    struct series_view s;
    struct sample v;
    char labels[32];
    const int n = snprintf(labels, sizeof labels, "domain=\"%u\"", d);
    if (!metric_find(st, str_of(metric), &m))
        return 0;
    const uint32_t i = series_find(st, m.id, (struct str){labels, (size_t)n});
    if (!i || !series_read(st, i, &s))
        return 0;
    series_sample(st, &m, &s, &v);
    return v.present ? v.u : 0;
}

static const struct {
    const char *key, *metric;
} counts[] = {
    {"accepted", "mcptally_domain_connections_accepted"},
    {"refused", "mcptally_domain_connections_refused"},
    {"deferred", "mcptally_domain_reads_deferred"},
    {"series", "mcptally_domain_series"},
    {"metrics", "mcptally_domain_metrics"},
    {"streams", "mcptally_domain_streams"},
    {"heap_bytes", "mcptally_domain_heap_bytes"},
    {"ring_bytes", "mcptally_domain_ring_bytes"},
};

static double seconds(uint64_t ns)
{
    return (double)(ns / NS_PER_MS) / 1000;
}

static void put_breaker(struct json_writer *j, const struct store *st, unsigned d,
                        const struct domain_options *o, struct when now)
{
    const struct domain_rec *r = store_domain(st, d);
    const uint64_t until = o ? domain_until(st, o, d) : 0;
    json_put_object(j, "breaker");
    json_put_text(j, "state", domain_state_name(domain_state(st, d)));
    json_put_text(j, "cause", domain_cause_name(domain_cause(st, d)));
    if (r->changed && now.mono > r->changed)
        json_put_f64(j, "since_seconds", seconds(now.mono - r->changed));
    else
        json_put_null(j, "since_seconds");
    if (until > now.mono)
        json_put_f64(j, "left_seconds", seconds(until - now.mono));
    else
        json_put_null(j, "left_seconds");
    json_put_u64(j, "opened", r->trips);
    json_put_f64(j, "recovery_seconds", seconds(r->recovery));
    json_end_object(j);
}

static void put_availability(struct json_writer *j, const struct store *st, unsigned d,
                             struct when now)
{
    json_put_object(j, "availability");
    for (unsigned w = 0; w < DOMAIN_WINDOWS; w++)
        json_put_f64(j, domain_window_name(w),
                     domain_available(st, d, (enum domain_window)w, now.mono));
    json_end_object(j);
}

void domain_doc(struct json_writer *j, const char *key, const struct store *st,
                const struct ledger *l, unsigned d, const struct domain_options *o, struct when now)
{
    const struct domain_rec *r = store_domain(st, d);
    const struct when then = {.mono = o ? r->settled : now.mono};
    json_put_object(j, key);
    json_put_u64(j, "domain", d);
    put_breaker(j, st, d, o, now);
    json_put_bool(j, "drained", domain_drained(st, d));
    json_put_bool(j, "set_aside", domain_aside(st, d));
    json_put_u64(j, "connections", o ? l->domains[d].connections : 0);
    ledger_put_account(j, "accounting", &l->domains[d]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_put_u64(j, counts[i].key, own_value(st, counts[i].metric, d));
    json_put_u64(j, "restarts", r->returns);
    json_put_u64(j, "crashes", r->deaths);
    put_availability(j, st, d, then);
    json_end_object(j);
}

void domain_doc_list(struct json_writer *j, const struct store *st, const struct domain_options *o,
                     struct when now)
{
    struct ledger l;
    ledger_read(st, &l);
    json_put_object(j, NULL);
    json_put_bool(j, "running", o != NULL);
    json_put_array(j, "domains");
    for (unsigned d = 0; d < domain_doc_count(st); d++)
        domain_doc(j, NULL, st, &l, d, o, now);
    json_end_array(j);
    json_end_object(j);
}
