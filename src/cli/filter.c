#include "cli/filter.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SEVERITY_ERROR = 17, TRACE_DIGITS = 32 };

bool filter_trace_ok(const char *trace)
{
    const size_t n = strspn(trace, "0123456789abcdefABCDEF");
    return n > 0 && n <= TRACE_DIGITS && !trace[n];
}

static bool kind_wanted(const struct filter *f, enum event_kind kind)
{
    if (!f->spans && !f->logs && !f->events && !f->health)
        return true;
    switch (kind) {
    case EVENT_SPAN:
        return f->spans;
    case EVENT_NAMED:
        return f->events;
    case EVENT_LOG:
        return f->logs;
    case EVENT_HEALTH:
        return f->health;
    }
    return false;
}

static bool glob_match(const char *pattern, struct str s)
{
    char text[LIMIT_NAME + 1];
    if (s.n >= sizeof text)
        return false;
    memcpy(text, s.n ? s.p : "", s.n);
    text[s.n] = '\0';
    return fnmatch(pattern, text, 0) == 0;
}

static bool trace_match(const char *prefix, const uint8_t id[16])
{
    char hex[TRACE_DIGITS + 1];
    unsigned any = 0;
    for (int i = 0; i < 16; i++) {
        any |= id[i];
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
    return any && strncasecmp(prefix, hex, strlen(prefix)) == 0;
}

/* By its correlation id, or by its trace, which is how a span is joined to what was written
 * inside it. */
static bool correlated(const char *id, const struct event *e)
{
    if (str_eq(e->correlation, str_of(id)))
        return true;
    return strlen(id) == TRACE_DIGITS && filter_trace_ok(id) && trace_match(id, e->trace.trace_id);
}

static bool is_error(const struct event *e)
{
    switch (e->kind) {
    case EVENT_SPAN:
        return e->status == SPAN_ERROR;
    case EVENT_LOG:
        return e->severity >= SEVERITY_ERROR;
    case EVENT_HEALTH:
        return e->state == HEALTH_DEGRADED || e->state == HEALTH_UNHEALTHY;
    case EVENT_NAMED:
        break;
    }
    return false;
}

bool filter_match(const struct filter *f, const struct ring_view *r, const struct event *e)
{
    if (!kind_wanted(f, e->kind))
        return false;
    if (f->service && !glob_match(f->service, r->service))
        return false;
    if (f->name && (e->kind == EVENT_LOG || !glob_match(f->name, e->name)))
        return false;
    if (f->severity && (e->kind != EVENT_LOG || e->severity < f->severity))
        return false;
    if (f->correlation && !correlated(f->correlation, e))
        return false;
    if (f->trace && !trace_match(f->trace, e->trace.trace_id))
        return false;
    if (f->slow && (e->kind != EVENT_SPAN || e->end < e->time || e->end - e->time < f->slow))
        return false;
    return !f->errors || is_error(e);
}
