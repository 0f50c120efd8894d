#include "cli/record.h"

#include <stdio.h>

#include "cli/duration.h"
#include "cli/plain.h"
#include "cli/style.h"
#include "format/json.h"

enum { TIME_DIGITS_TEXT = 3, TIME_DIGITS_JSON = 9, SERVICE_COLUMNS = 16, KIND_COLUMNS = 7 };

static bool any(const uint8_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id[i])
            return true;
    return false;
}

void record_hex(struct buf *to, const uint8_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "%02x", id[i]);
}

static uint64_t span_ns(const struct event *e)
{
    return e->end > e->time ? e->end - e->time : 0;
}

static const char *span_kind_name(enum span_kind kind)
{
    static const char *const names[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    return names[kind];
}

static const char *span_status_name(enum span_status status)
{
    static const char *const names[] = {"unset", "ok", "error"};
    return names[status];
}

/* ---- for people ---- */

/* Text as it is when it is one plain word, else in quotes. */
static void add_word(struct buf *to, struct str s)
{
    bool plain = s.n > 0;
    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] != ' ' && s.p[i] != '"' && s.p[i] != '=';
    if (!plain)
        buf_addc(to, '"');
    plain_add(to, s);
    if (!plain)
        buf_addc(to, '"');
}

static void add_attr_value(struct buf *to, const struct attr *a)
{
    switch (a->type) {
    case ATTR_STRING:
        add_word(to, a->s);
        break;
    case ATTR_BOOL:
        buf_adds(to, a->i ? "true" : "false");
        break;
    case ATTR_I64:
        buf_addf(to, "%lld", (long long)a->i);
        break;
    case ATTR_F64:
        buf_addd(to, a->d);
        break;
    }
}

static void add_key(struct buf *to, struct str key, bool colour)
{
    buf_addc(to, ' ');
    style_add(to, colour, STYLE_DIM);
    plain_add(to, key);
    buf_addc(to, '=');
    style_add(to, colour, STYLE_NONE);
}

void record_attrs(struct buf *to, const struct event *e, unsigned first, unsigned n, bool colour)
{
    for (unsigned i = first; i < first + n; i++) {
        add_key(to, e->attrs[i].key, colour);
        add_attr_value(to, &e->attrs[i]);
    }
}

static void add_details(struct buf *to, const struct event *e, bool colour)
{
    if (e->kind == EVENT_NAMED)
        for (unsigned i = 0; i < e->nmeasures; i++) {
            add_key(to, e->measures[i].key, colour);
            buf_addd(to, e->measures[i].value);
        }
    record_attrs(to, e, 0, e->nattrs, colour);
    if (e->correlation.n > 0) {
        add_key(to, STR("correlation_id"), colour);
        add_word(to, e->correlation);
    }
    if (any(e->trace.trace_id, sizeof e->trace.trace_id)) {
        add_key(to, STR("trace_id"), colour);
        record_hex(to, e->trace.trace_id, sizeof e->trace.trace_id);
    }
}

static void add_styled(struct buf *to, bool colour, enum style style, struct str s)
{
    style_add(to, colour, style);
    plain_add(to, s);
    style_add(to, colour, STYLE_NONE);
}

void record_name(struct buf *to, const struct event *e, bool colour)
{
    add_styled(to, colour, STYLE_STRONG, e->name);
}

void record_failure(struct buf *to, const struct event *e, bool colour)
{
    if (e->status != SPAN_ERROR)
        return;
    buf_addc(to, ' ');
    add_styled(to, colour, STYLE_BAD, STR("ERROR"));
    if (e->text.n > 0) {
        buf_addc(to, ' ');
        add_word(to, e->text);
    }
}

static void add_span(struct buf *to, const struct event *e, bool colour)
{
    record_name(to, e, colour);
    buf_addc(to, ' ');
    duration_add(to, span_ns(e));
    record_failure(to, e, colour);
}

void record_log(struct buf *to, const struct event *e, bool colour)
{
    const enum style style = e->severity >= 17   ? STYLE_BAD
                             : e->severity >= 13 ? STYLE_WARN
                             : e->severity >= 9  ? STYLE_GOOD
                                                 : STYLE_DIM;
    add_styled(to, colour, style, str_of(severity_name(e->severity)));
    buf_addc(to, ' ');
    plain_add(to, e->text);
}

static void add_health(struct buf *to, const struct event *e, bool colour)
{
    static const enum style styles[] = {STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD};
    add_styled(to, colour, STYLE_STRONG, e->name);
    buf_addc(to, ' ');
    add_styled(to, colour, styles[e->state], str_of(health_name(e->state)));
    if (e->text.n > 0) {
        buf_addc(to, ' ');
        add_word(to, e->text);
    }
}

void record_text(struct buf *to, const struct ring_view *r, const struct event *e, bool colour)
{
    style_add(to, colour, STYLE_DIM);
    moment_add(to, e->time, TIME_DIGITS_TEXT);
    style_add(to, colour, STYLE_NONE);
    buf_addc(to, ' ');
    plain_add_fixed(to, str_of(event_kind_name(e->kind)), KIND_COLUMNS);
    style_add(to, colour, STYLE_NAME);
    plain_add_fixed(to, r->service, SERVICE_COLUMNS);
    style_add(to, colour, STYLE_NONE);
    buf_addc(to, ' ');
    switch (e->kind) {
    case EVENT_SPAN:
        add_span(to, e, colour);
        break;
    case EVENT_LOG:
        record_log(to, e, colour);
        break;
    case EVENT_HEALTH:
        add_health(to, e, colour);
        break;
    case EVENT_NAMED:
        record_name(to, e, colour);
        break;
    }
    add_details(to, e, colour);
    buf_addc(to, '\n');
}

/* ---- for programs ---- */

static void put_moment(struct json_writer *j, const char *key, uint64_t ns)
{
    char room[40];
    struct buf b = {.p = room, .cap = sizeof room, .max = sizeof room};
    moment_add(&b, ns, TIME_DIGITS_JSON);
    json_put_str(j, key, buf_str(&b));
}

static void put_id(struct json_writer *j, const char *key, const uint8_t *id, size_t n)
{
    char room[40];
    struct buf b = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (!any(id, n))
        return;
    record_hex(&b, id, n);
    json_put_str(j, key, buf_str(&b));
}

static void put_str_if(struct json_writer *j, const char *key, struct str s)
{
    if (s.n > 0)
        json_put_str(j, key, s);
}

static void put_attr(struct json_writer *j, const struct attr *a)
{
    char key[LIMIT_KEY + 1];
    snprintf(key, sizeof key, "%.*s", STR_ARG(a->key));
    switch (a->type) {
    case ATTR_STRING:
        json_put_str(j, key, a->s);
        break;
    case ATTR_BOOL:
        json_put_bool(j, key, a->i != 0);
        break;
    case ATTR_I64:
        json_put_i64(j, key, a->i);
        break;
    case ATTR_F64:
        json_put_f64(j, key, a->d);
        break;
    }
}

static void put_attributes(struct json_writer *j, const struct event *e, unsigned first, unsigned n)
{
    json_put_object(j, "attributes");
    for (unsigned i = first; i < first + n; i++)
        put_attr(j, &e->attrs[i]);
    json_end_object(j);
}

static void put_span_events(struct json_writer *j, const struct event *e)
{
    json_put_array(j, "events");
    for (unsigned i = 0; i < e->nevents; i++) {
        const struct span_event *s = &e->events[i];
        json_put_object(j, NULL);
        put_moment(j, "time", s->time);
        json_put_str(j, "name", s->name);
        put_attributes(j, e, s->first_attr, s->nattrs);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_span_links(struct json_writer *j, const struct event *e)
{
    json_put_array(j, "links");
    for (unsigned i = 0; i < e->nlinks; i++) {
        const struct span_link *l = &e->links[i];
        json_put_object(j, NULL);
        put_id(j, "trace_id", l->to.trace_id, sizeof l->to.trace_id);
        put_id(j, "span_id", l->to.span_id, sizeof l->to.span_id);
        put_str_if(j, "tracestate", l->tracestate);
        put_attributes(j, e, l->first_attr, l->nattrs);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_span(struct json_writer *j, const struct event *e)
{
    json_put_str(j, "name", e->name);
    put_moment(j, "end", e->end);
    json_put_f64(j, "duration_seconds", (double)span_ns(e) / 1e9);
    put_id(j, "parent_id", e->parent_id, sizeof e->parent_id);
    json_put_text(j, "span_kind", span_kind_name(e->span_kind));
    json_put_text(j, "status", span_status_name(e->status));
    put_str_if(j, "message", e->text);
    put_str_if(j, "tracestate", e->tracestate);
    if (e->nevents > 0)
        put_span_events(j, e);
    if (e->nlinks > 0)
        put_span_links(j, e);
}

static void put_named(struct json_writer *j, const struct event *e)
{
    char key[LIMIT_KEY + 1];
    json_put_str(j, "name", e->name);
    json_put_object(j, "measurements");
    for (unsigned i = 0; i < e->nmeasures; i++) {
        snprintf(key, sizeof key, "%.*s", STR_ARG(e->measures[i].key));
        json_put_f64(j, key, e->measures[i].value);
    }
    json_end_object(j);
}

static void put_kind(struct json_writer *j, const struct event *e)
{
    switch (e->kind) {
    case EVENT_SPAN:
        put_span(j, e);
        break;
    case EVENT_NAMED:
        put_named(j, e);
        break;
    case EVENT_LOG:
        json_put_text(j, "severity", severity_name(e->severity));
        json_put_u64(j, "severity_number", e->severity);
        json_put_str(j, "body", e->text);
        break;
    case EVENT_HEALTH:
        json_put_str(j, "component", e->name);
        json_put_text(j, "state", health_name(e->state));
        put_str_if(j, "message", e->text);
        break;
    }
}

void record_json_members(struct json_writer *j, const struct ring_view *r, const struct event *e)
{
    json_put_text(j, "kind", event_kind_name(e->kind));
    json_put_u64(j, "seq", r->seq);
    put_moment(j, "time", e->time);
    put_moment(j, "received", r->received);
    json_put_str(j, "service", r->service);
    json_put_u64(j, "domain", r->domain);
    put_kind(j, e);
    put_attributes(j, e, 0, e->nattrs);
    put_str_if(j, "correlation_id", e->correlation);
    put_id(j, "trace_id", e->trace.trace_id, sizeof e->trace.trace_id);
    put_id(j, "span_id", e->trace.span_id, sizeof e->trace.span_id);
}

void record_json(struct buf *to, const struct ring_view *r, const struct event *e)
{
    struct json_writer w = json_begin(to);
    json_put_object(&w, NULL);
    record_json_members(&w, r, e);
    json_end_object(&w);
    buf_addc(to, '\n');
}
