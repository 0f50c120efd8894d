/* filter: which records `tail` shows. */
#ifndef MCPTALLY_CLI_FILTER_H
#define MCPTALLY_CLI_FILTER_H

#include <stdbool.h>

#include "model/event.h"
#include "store/read.h"

struct filter {
    bool spans, logs, events, health; /* none set: all */
    const char *service, *name;       /* glob(7) patterns; NULL: any. Logs have no name */
    unsigned severity;                /* logs of at least this; 0: any record */
    const char *correlation;          /* exactly this correlation id, or whole trace id */
    const char *trace;                /* trace id in hex, or its beginning */
    uint64_t slow;                    /* spans of at least this many ns; 0: any record */
    bool errors; /* failed spans, logs of at least error, components not healthy */
};

/* Whether trace is hex digits, at most 32. */
bool filter_trace_ok(const char *trace);

bool filter_match(const struct filter *f, const struct ring_view *r, const struct event *e);

#endif
