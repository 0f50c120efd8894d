/* event: what came in, after the trust line. Floor 1.
 *
 * wire/decode makes one from bytes; everything behind it may rely on what is
 * said here. Strings are borrowed from the decoded bytes. */
#ifndef MCPTALLY_MODEL_EVENT_H
#define MCPTALLY_MODEL_EVENT_H

#include <stdint.h>

#include "base/str.h"
#include "model/limits.h"

/* The numbers of these enums are on the wire and in the store. The kinds are
 * the numbers of the frame types. */
enum event_kind {
    EVENT_SPAN = 6,
    EVENT_NAMED = 7,
    EVENT_LOG = 8,
    EVENT_HEALTH = 9,
};

/* What rings keep beside those: one-item OTLP Resource* messages, see otlp/otlp.h. */
enum record_kind { RECORD_OTLP_SPAN = 32, RECORD_OTLP_LOG, RECORD_OTLP_METRIC };

enum attr_type { ATTR_STRING = 1, ATTR_BOOL, ATTR_I64, ATTR_F64 };

struct attr {
    struct str key; /* text_key_ok() */
    enum attr_type type;
    struct str s; /* ATTR_STRING: UTF-8, at most LIMIT_TEXT */
    union {
        int64_t i; /* ATTR_I64; ATTR_BOOL: 0 or 1 */
        double d;  /* ATTR_F64: finite */
    };
};

struct measure {
    struct str key;
    double value; /* finite */
};

struct trace_ref {
    uint8_t trace_id[16]; /* all zero: none */
    uint8_t span_id[8];
};

enum health_state { HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY };

enum span_kind {
    SPAN_UNSPECIFIED,
    SPAN_INTERNAL,
    SPAN_SERVER,
    SPAN_CLIENT,
    SPAN_PRODUCER,
    SPAN_CONSUMER,
};
enum span_status { SPAN_UNSET, SPAN_OK, SPAN_ERROR };

struct span_event {
    uint64_t time; /* ns since 1970 */
    struct str name;
    unsigned nattrs;
    unsigned first_attr; /* index into the event's attrs */
};

struct span_link {
    struct trace_ref to;
    struct str tracestate;
    unsigned nattrs;
    unsigned first_attr;
};

struct event {
    enum event_kind kind;
    uint64_t time; /* ns since 1970; a span's start */
    struct trace_ref trace;
    struct str correlation; /* empty: none */
    struct str name;        /* event or span name, health component; empty for logs */
    struct str text;        /* log body, span status message, health message */
    unsigned nattrs;        /* the item's own attributes are attrs[0 .. nattrs-1] */
    unsigned all_attrs;     /* those of span events and links follow them, LIMIT_ATTRS in all */
    struct attr attrs[LIMIT_ATTRS];
    union {
        struct { /* EVENT_NAMED */
            unsigned nmeasures;
            struct measure measures[LIMIT_MEASURES];
        };
        struct {               /* EVENT_LOG */
            unsigned severity; /* OpenTelemetry's 1 (TRACE) to 24 (FATAL4) */
        };
        struct { /* EVENT_HEALTH */
            enum health_state state;
        };
        struct { /* EVENT_SPAN */
            uint64_t end;
            uint8_t parent_id[8]; /* all zero: a root */
            enum span_kind span_kind;
            enum span_status status;
            uint32_t span_flags; /* W3C trace flags in the low byte */
            struct str tracestate;
            unsigned nevents, nlinks;
            struct span_event events[LIMIT_SPAN_EVENTS];
            struct span_link links[LIMIT_SPAN_EVENTS];
        };
    };
};

/* "error", "warn" ... for an OpenTelemetry severity number. Never NULL. */
const char *severity_name(unsigned severity);

/* The severity number of trace|debug|info|warn|error|fatal, 0 for another word. */
unsigned severity_of(struct str name);

/* The text of an attribute's value; of a number it is written into `digits`, which has
 * NUM_F64_MAX bytes. */
struct str attr_text(const struct attr *a, char *digits);

const char *health_name(unsigned state); /* "healthy" ...; "unknown" outside */

/* The state of a word; -ERR_NOTFOUND. */
int health_of(struct str name);

const char *event_kind_name(unsigned kind); /* "span", "event", "log", "health" */

#endif
