#include "daemon/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "daemon/allow.h"
#include "daemon/domains.h"
#include "pipeline/rules.h"

/* A list of at most OPTION_LABELS texts, borrowed; how many. */
static unsigned labels_of(const struct config_list *list, struct str *labels)
{
    assert(list->n <= OPTION_LABELS);
    for (size_t i = 0; i < list->n; i++)
        labels[i] = str_of(list->items[i]);
    return (unsigned)list->n;
}
enum { SEGMENT_MOST = 16 << 20 }; /* bytes of one file of a spool */

/* Points are kept for exporters only where there is one that sends them on. */
static bool forwards_points(const struct config *c)
{
    unsigned signals = 0;
    for (size_t i = 0; i < c->export_destinations.n; i++)
        signals |= c->export_destinations.all[i].signals;
    return c->export_metrics == METRICS_FORWARD && signals & 1u << OTLP_METRICS;
}

void options_domain(const struct config *c, struct domain_options *o)
{
    *o = (struct domain_options){
        .bytes = c->limits_bytes_per_second,
        .items = c->limits_items_per_second,
        .spans = c->limits_spans_per_second,
        .defer = c->limits_defer,
        .breaker = c->domains_breaker,
        .faults = c->domains_breaker_faults,
        .share = c->domains_breaker_share,
        .window = c->domains_breaker_window,
        .rest = c->domains_breaker_rest,
        .rest_most = c->domains_breaker_rest_most,
        .probe = c->domains_breaker_probe,
        .probes = (unsigned)c->domains_breaker_probes,
        .crashes = (unsigned)c->domains_crashes,
    };
}

void options_pipeline(struct config *c, struct pipeline_options *o)
{
    pipeline_defaults(o);
    o->domains = (unsigned)c->domains_count;
    o->cardinality = (unsigned)c->series_cardinality;
    o->series_per_domain = (uint32_t)c->series_per_domain;
    o->metrics_per_domain = (uint32_t)c->metrics_per_domain;
    o->series_idle = c->series_idle;
    o->gauge_grace = c->gauge_grace;
    o->session_keep = c->session_keep;
    o->ids_per_connection = (uint32_t)c->limits_ids_per_connection;
    o->rings_per_session = c->limits_rings ? (uint32_t)c->limits_rings_per_session : 0;
    o->ids_total = c->limits_ids;
    o->target_info = c->metrics_target_info;
    o->scope_labels = c->metrics_scope_labels;
    o->nresource_labels = labels_of(&c->metrics_resource_labels, o->resource_labels);
    o->span_metrics = c->spans_metrics;
    o->nspan_dimensions = labels_of(&c->spans_dimensions, o->span_dimensions);
    o->forward_points = forwards_points(c);
    o->connections_per_domain = (unsigned)c->limits_connections_per_domain;
    o->reader_still += c->sampling_window;
    options_domain(c, &o->domain);
    o->choose_domain = domains_choose;
    o->choose_arg = c;
}

void options_intake(const struct config *c, unsigned descriptors, struct intake_options *o)
{
    *o = (struct intake_options){
        .connections = (unsigned)c->limits_connections,
        .user_connections = (unsigned)c->limits_connections_per_user,
        .partial_bytes = c->limits_partial_frame_bytes,
        .partial_timeout = c->limits_partial_frame_timeout,
        .reply_bytes = c->limits_reply_bytes,
        .rings = (unsigned)c->limits_rings,
        .user_rings = (unsigned)c->limits_rings_per_user,
        .user_rates = {.bytes = c->limits_bytes_per_second_per_user,
                       .items = c->limits_items_per_second_per_user},
        .allow = allow_producer,
        .allow_arg = (void *)(uintptr_t)c, /* which only reads it */
    };
    if (o->connections > descriptors)
        o->connections = descriptors;
}

void options_otlp(const struct config *c, struct otlp_intake_options *o)
{
    *o = (struct otlp_intake_options){
        .buffer = c->otlp_buffer,
        .message = c->otlp_message_bytes,
        .json = c->otlp_json_bytes,
        .receive_timeout = c->otlp_receive_timeout,
        .idle_timeout = c->otlp_idle_timeout,
        .streams = (unsigned)c->otlp_streams,
    };
}

/* The items of a list as borrowed texts; NULL when memory is out. */
static struct str *texts_of(const struct config_list *list)
{
    struct str *texts = calloc(list->n ? list->n : 1, sizeof *texts);
    for (size_t i = 0; texts && i < list->n; i++)
        texts[i] = str_of(list->items[i]);
    return texts;
}

bool options_health(const struct config *c, struct str **required, struct health_options *o)
{
    *required = texts_of(&c->health_readiness);
    health_defaults(o);
    o->rules.interval = c->health_interval;
    o->rules.timeout = c->health_timeout;
    o->rules.recovery = c->health_recovery;
    o->rules.failures = (unsigned)c->health_failures;
    o->expire = c->health_expire;
    o->per_domain = (unsigned)c->health_per_domain;
    o->memory_warning = c->health_memory_warning;
    o->memory_critical = c->health_memory_critical;
    o->nrequired = (unsigned)c->health_readiness.n;
    o->required = *required;
    return *required != NULL;
}

static uint32_t rules_off(const struct config_list *names)
{
    uint32_t off = 0;
    for (size_t i = 0; i < names->n; i++)
        off |= UINT32_C(1) << secret_rule_of(str_of(names->items[i]));
    return off;
}

/* ---- destinations ---- */

void options_lane(const struct config *c, const struct config_destination *d,
                  struct lane_options *o)
{
    lane_defaults(o);
    o->batch_items = (unsigned)c->export_batch_items;
    o->batch_bytes = c->export_batch_bytes;
    o->batch_delay = c->export_batch_delay;
    o->queue_bytes = c->export_queue_bytes;
    o->concurrent = d->concurrent;
    o->spool = d->spool;
    o->spool_after = c->export_spool_after;
    o->replay_rate = c->export_replay_rate;
    o->breaker.failures = (unsigned)c->export_failures;
    o->breaker.first = c->export_retry_first;
    o->breaker.most = c->export_retry_most;
}

void options_spool(const struct config *c, const struct config_destination *d,
                   struct spool_options *o)
{
    const uint64_t bytes = d->spool_size ? d->spool_size : c->spool_size;
    *o = (struct spool_options){
        .bytes = bytes,
        .age = d->spool_age ? d->spool_age : c->spool_age,
        .segment = bytes / 8 < SEGMENT_MOST ? bytes / 8 : SEGMENT_MOST,
    };
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

bool options_transport(const struct config_destination *d, struct transport_options *o)
{
    struct transport_header *headers = calloc(d->nheaders ? d->nheaders : 1, sizeof *headers);
    *o = (struct transport_options){
        .protocol = d->grpc ? TRANSPORT_GRPC : TRANSPORT_HTTP,
        .name = d->name,
        .plain = d->plain,
        .gzip = d->gzip,
        .timeout = d->timeout,
        .keepalive = d->keepalive,
        .concurrent = d->concurrent,
        .ca_file = text_or_null(d->ca_file),
        .cert_file = text_or_null(d->cert_file),
        .key_file = text_or_null(d->key_file),
        .insecure_skip_verify = d->insecure_skip_verify,
        .nheaders = (unsigned)d->nheaders,
        .headers = headers,
    };
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        o->endpoint[s] = d->signals & 1u << s ? d->endpoints[s] : NULL;
    for (size_t i = 0; headers && i < d->nheaders; i++)
        headers[i] = (struct transport_header){d->headers[i].name, d->headers[i].value};
    return headers != NULL;
}

void options_transport_fini(struct transport_options *o)
{
    free((void *)(uintptr_t)o->headers);
    o->headers = NULL;
}

static uint64_t mix(uint64_t h, const char *text)
{
    return hash_bytes(text, strlen(text) + 1, h);
}

uint64_t options_identity(const struct config_destination *d)
{
    const uint64_t numbers[] = {d->grpc,
                                d->plain,
                                d->gzip,
                                d->timeout,
                                d->keepalive,
                                d->concurrent,
                                d->insecure_skip_verify,
                                d->signals};
    uint64_t h = hash_bytes(numbers, sizeof numbers, 0);
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        h = mix(h, d->endpoints[s]);
    for (size_t i = 0; i < d->nheaders; i++)
        h = mix(mix(h, d->headers[i].name), d->headers[i].value);
    return mix(mix(mix(h, d->ca_file), d->cert_file), d->key_file);
}

struct redact *options_redact(const struct config *c)
{
    struct redact *r = NULL;
    struct str *keys = texts_of(&c->redaction_keys), *allow = texts_of(&c->redaction_allow);
    if (keys && allow) {
        const struct redact_options o = {
            .enabled = c->redaction_enabled,
            .nkeys = (unsigned)c->redaction_keys.n,
            .nallow = (unsigned)c->redaction_allow.n,
            .keys = keys,
            .allow = allow,
            .keep_tool_content = c->redaction_keep_tool_content,
            .off = rules_off(&c->redaction_disable),
            .npatterns = (unsigned)c->redaction_patterns.n,
            .patterns = c->redaction_patterns.expressions,
        };
        r = redact_new(&o);
    }
    free(keys);
    free(allow);
    return r;
}

void options_sampling(const struct config *c, struct sampling_options *o)
{
    sampling_defaults(o);
    o->enabled = c->sampling_enabled;
    o->rate[TIER_CRITICAL] = c->sampling_critical;
    o->rate[TIER_NORMAL] = c->sampling_normal;
    o->rate[TIER_DEBUG] = c->sampling_debug;
    o->nrules = (unsigned)c->sampling_rules.n;
    o->rules = c->sampling_rules.rules;
    o->window = c->sampling_window;
    o->late = c->sampling_late;
    o->slow = c->sampling_slow;
    o->slow_p99 = c->sampling_slow_by_name;
    o->traces = (unsigned)c->sampling_traces;
    o->spans_per_second = c->sampling_spans_per_second;
}

struct rules *options_rules(const struct config *c)
{
    return rules_new(c->rules.rules, c->rules.n);
}
