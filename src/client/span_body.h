/* span_body: a span's body as it is on the wire, which grows with what is said of the span.
 * What the daemon would not take is left out, or makes the buffer fail: what comes out need
 * not be looked at again. The form is man/mcptally-protocol.7, section ITEMS. */
#ifndef MCPTALLY_CLIENT_SPAN_BODY_H
#define MCPTALLY_CLIENT_SPAN_BODY_H

#include "wire/body.h"

struct span_body {
    struct buf b;      /* all of it but the events; failed: it is none, and counts as invalid */
    struct buf events; /* as they are to follow the attributes */
    uint16_t fixed, message, attrs; /* where in b: the run of fixed length, the status message,
                                       the first attribute */
    uint16_t nattrs, nevents;
    struct {
        uint16_t at; /* behind the first attribute */
        uint8_t nkey;
    } keys[LIMIT_ATTRS];
};

_Static_assert(LIMIT_ITEM <= UINT16_MAX && LIMIT_KEY <= UINT8_MAX, "places fit");

/* What is said at the end. */
struct span_facts {
    uint64_t start, end;
    struct trace_ref trace;
    const uint8_t *parent; /* 8 bytes */
    enum span_kind kind;
    enum span_status status;
    uint32_t flags;
};

/* Of memory that is zero, or was another span's. */
void span_body_begin(struct span_body *s, struct str name, struct str tracestate,
                     struct str correlation);
void span_body_fini(struct span_body *s);

/* Gives back the memory of one that was large; it can be used again. */
void span_body_trim(struct span_body *s);

/* Sets or replaces one: a text, or the bits of a number. */
void span_body_text(struct span_body *s, const char *key, const char *value);
void span_body_number(struct span_body *s, const char *key, enum attr_type type, uint64_t bits);

void span_body_event(struct span_body *s, uint64_t time, const char *name);

/* The description of what failed; the newest counts. */
void span_body_message(struct span_body *s, const char *text);

/* It is whole: b.failed, or in b. */
void span_body_end(struct span_body *s, const struct span_facts *facts);

#endif
