#include "cli/record.h"

#include "cli/duration.h"
#include "cli/plain.h"
#include "cli/style.h"

enum { TIME_DIGITS_TEXT = 3, TIME_DIGITS_JSON = 9, SERVICE_COLUMNS = 16, KIND_COLUMNS = 7 };

static bool any(const uint8_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id[i])
            return true;
    return false;
}

static void add_hex(struct buf *to, const uint8_t *id, size_t n)
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

static void add_details(struct buf *to, const struct event *e, bool colour)
{
    if (e->kind == EVENT_NAMED)
        for (unsigned i = 0; i < e->nmeasures; i++) {
            add_key(to, e->measures[i].key, colour);
            buf_addd(to, e->measures[i].value);
        }
    for (unsigned i = 0; i < e->nattrs; i++) {
        add_key(to, e->attrs[i].key, colour);
        add_attr_value(to, &e->attrs[i]);
    }
    if (e->correlation.n > 0) {
        add_key(to, STR("correlation_id"), colour);
        add_word(to, e->correlation);
    }
    if (any(e->trace.trace_id, sizeof e->trace.trace_id)) {
        add_key(to, STR("trace_id"), colour);
        add_hex(to, e->trace.trace_id, sizeof e->trace.trace_id);
    }
}

static void add_styled(struct buf *to, bool colour, enum style style, struct str s)
{
    style_add(to, colour, style);
    plain_add(to, s);
    style_add(to, colour, STYLE_NONE);
}

static void add_span(struct buf *to, const struct event *e, bool colour)
{
    add_styled(to, colour, STYLE_STRONG, e->name);
    buf_addc(to, ' ');
    duration_add(to, span_ns(e));
    if (e->status != SPAN_ERROR)
        return;
    buf_addc(to, ' ');
    add_styled(to, colour, STYLE_BAD, STR("ERROR"));
    if (e->text.n > 0) {
        buf_addc(to, ' ');
        add_word(to, e->text);
    }
}

static void add_log(struct buf *to, const struct event *e, bool colour)
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
        add_log(to, e, colour);
        break;
    case EVENT_HEALTH:
        add_health(to, e, colour);
        break;
    case EVENT_NAMED:
        add_styled(to, colour, STYLE_STRONG, e->name);
        break;
    }
    add_details(to, e, colour);
    buf_addc(to, '\n');
}

/* ---- for programs ---- */

static void set_text(json_t *o, const char *key, struct str s)
{
    json_object_set_new(o, key, json_stringn(s.n ? s.p : "", s.n));
}

static void set_text_if(json_t *o, const char *key, struct str s)
{
    if (s.n > 0)
        set_text(o, key, s);
}

static void set_moment(json_t *o, const char *key, uint64_t ns)
{
    struct buf b;
    buf_init(&b, 64);
    moment_add(&b, ns, TIME_DIGITS_JSON);
    set_text(o, key, buf_str(&b));
    buf_fini(&b);
}

static void set_id(json_t *o, const char *key, const uint8_t *id, size_t n)
{
    if (!any(id, n))
        return;
    struct buf b;
    buf_init(&b, 64);
    add_hex(&b, id, n);
    set_text(o, key, buf_str(&b));
    buf_fini(&b);
}

/* Keys of producers are not NUL-terminated. */
static void set_by(json_t *o, struct str key, json_t *value)
{
    json_object_setn_new(o, key.p, key.n, value);
}

static json_t *attr_value(const struct attr *a)
{
    switch (a->type) {
    case ATTR_STRING:
        return json_stringn(a->s.n ? a->s.p : "", a->s.n);
    case ATTR_BOOL:
        return json_boolean(a->i != 0);
    case ATTR_I64:
        return json_integer(a->i);
    case ATTR_F64:
        return json_real(a->d);
    }
    return json_null();
}

static json_t *attributes(const struct event *e, unsigned first, unsigned n)
{
    json_t *o = json_object();
    for (unsigned i = first; i < first + n; i++)
        set_by(o, e->attrs[i].key, attr_value(&e->attrs[i]));
    return o;
}

static json_t *span_events(const struct event *e)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < e->nevents; i++) {
        const struct span_event *s = &e->events[i];
        json_t *o = json_object();
        set_moment(o, "time", s->time);
        set_text(o, "name", s->name);
        json_object_set_new(o, "attributes", attributes(e, s->first_attr, s->nattrs));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *span_links(const struct event *e)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < e->nlinks; i++) {
        const struct span_link *l = &e->links[i];
        json_t *o = json_object();
        set_id(o, "trace_id", l->to.trace_id, sizeof l->to.trace_id);
        set_id(o, "span_id", l->to.span_id, sizeof l->to.span_id);
        set_text_if(o, "tracestate", l->tracestate);
        json_object_set_new(o, "attributes", attributes(e, l->first_attr, l->nattrs));
        json_array_append_new(list, o);
    }
    return list;
}

static void set_span(json_t *o, const struct event *e)
{
    set_text(o, "name", e->name);
    set_moment(o, "end", e->end);
    json_object_set_new(o, "duration_seconds", json_real((double)span_ns(e) / 1e9));
    set_id(o, "parent_id", e->parent_id, sizeof e->parent_id);
    set_text(o, "span_kind", str_of(span_kind_name(e->span_kind)));
    set_text(o, "status", str_of(span_status_name(e->status)));
    set_text_if(o, "message", e->text);
    set_text_if(o, "tracestate", e->tracestate);
    if (e->nevents > 0)
        json_object_set_new(o, "events", span_events(e));
    if (e->nlinks > 0)
        json_object_set_new(o, "links", span_links(e));
}

static void set_named(json_t *o, const struct event *e)
{
    json_t *measurements = json_object();
    for (unsigned i = 0; i < e->nmeasures; i++)
        set_by(measurements, e->measures[i].key, json_real(e->measures[i].value));
    set_text(o, "name", e->name);
    json_object_set_new(o, "measurements", measurements);
}

static void set_kind(json_t *o, const struct event *e)
{
    switch (e->kind) {
    case EVENT_SPAN:
        set_span(o, e);
        break;
    case EVENT_NAMED:
        set_named(o, e);
        break;
    case EVENT_LOG:
        set_text(o, "severity", str_of(severity_name(e->severity)));
        json_object_set_new(o, "severity_number", json_integer(e->severity));
        set_text(o, "body", e->text);
        break;
    case EVENT_HEALTH:
        set_text(o, "component", e->name);
        set_text(o, "state", str_of(health_name(e->state)));
        set_text_if(o, "message", e->text);
        break;
    }
}

json_t *record_json(const struct ring_view *r, const struct event *e)
{
    json_t *o = json_object();
    if (!o)
        return NULL;
    set_text(o, "kind", str_of(event_kind_name(e->kind)));
    json_object_set_new(o, "seq", json_integer((json_int_t)r->seq));
    set_moment(o, "time", e->time);
    set_moment(o, "received", r->received);
    set_text(o, "service", r->service);
    json_object_set_new(o, "domain", json_integer(r->domain));
    set_kind(o, e);
    json_object_set_new(o, "attributes", attributes(e, 0, e->nattrs));
    set_text_if(o, "correlation_id", e->correlation);
    set_id(o, "trace_id", e->trace.trace_id, sizeof e->trace.trace_id);
    set_id(o, "span_id", e->trace.span_id, sizeof e->trace.span_id);
    return o;
}
