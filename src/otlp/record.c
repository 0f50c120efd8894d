#include "otlp/record.h"

#include "otlp/field.h"
#include "otlp/otlp.h"
#include "wire/decode.h"

static int read_event(unsigned kind, struct str body, struct event *out, struct buf *scratch)
{
    struct str resource, scope, item;
    switch (kind) {
    case EVENT_SPAN:
    case EVENT_NAMED:
    case EVENT_LOG:
    case EVENT_HEALTH:
        return decode_body((enum event_kind)kind, (const uint8_t *)body.p, body.n, out);
    case RECORD_OTLP_SPAN:
    case RECORD_OTLP_LOG:
        if (otlp_part(body, &resource, &scope, &item) < 0)
            return -ERR_SYNTAX;
        return kind == RECORD_OTLP_SPAN ? otlp_span(item, out) : otlp_log(item, out, scratch);
    default:
        return -ERR_NOTFOUND;
    }
}

/* Attributes that are a correlation id, the most telling first: ours of what we forward,
 * those that are common in logs, and the session of a wrapped MCP server. A JSON-RPC id is
 * none: every session has a request 1. */
static void correlate(struct event *e)
{
    static const char *const keys[] = {"mcptally.correlation_id", "correlation_id",
                                       "correlation.id", "mcp.session.id"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys && e->correlation.n == 0; k++)
        for (unsigned i = 0; i < e->nattrs; i++)
            if (e->attrs[i].type == ATTR_STRING && str_eq(e->attrs[i].key, str_of(keys[k])) &&
                e->attrs[i].s.n <= LIMIT_CORRELATION)
                e->correlation = e->attrs[i].s;
}

int record_event(unsigned kind, struct str body, struct event *out, struct buf *scratch)
{
    const int r = read_event(kind, body, out, scratch);
    if (r == 0)
        correlate(out);
    return r;
}

/* Ids of a span or log record, by their field numbers. */
static void ids(struct str item, unsigned trace, unsigned span, struct trace_ref *out)
{
    struct fields r = fields_of(item);
    struct field f;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(trace, BYTES) && f.s.n == sizeof out->trace_id)
            memcpy(out->trace_id, f.s.p, sizeof out->trace_id);
        else if (f.tag == FIELD(span, BYTES) && f.s.n == sizeof out->span_id)
            memcpy(out->span_id, f.s.p, sizeof out->span_id);
    }
}

bool record_trace(unsigned kind, struct str body, struct trace_ref *out)
{
    static const uint8_t zero[sizeof out->trace_id];
    struct str resource, scope, item;
    memset(out, 0, sizeof *out);
    if (kind >= EVENT_SPAN && kind <= EVENT_HEALTH) {
        if (body.n < 8 + sizeof *out) /* every item begins with its time, then these */
            return false;
        memcpy(out->trace_id, body.p + 8, sizeof out->trace_id);
        memcpy(out->span_id, body.p + 8 + sizeof out->trace_id, sizeof out->span_id);
    } else if (kind == RECORD_OTLP_SPAN || kind == RECORD_OTLP_LOG) {
        if (otlp_part(body, &resource, &scope, &item) < 0)
            return false;
        const bool span = kind == RECORD_OTLP_SPAN;
        ids(item, span ? 1 : 9, span ? 2 : 10, out);
    }
    return memcmp(out->trace_id, zero, sizeof zero) != 0;
}
