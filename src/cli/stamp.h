/* stamp: trace contexts that the wrapper gives to requests without one, for
 * servers that trace what they do. What the relay puts into a request the
 * observer knows again, and gives to the span that it reports for it: the
 * server's own spans then are that span's children. */
#ifndef MCPTALLY_CLI_STAMP_H
#define MCPTALLY_CLI_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/channel.h"
#include "model/event.h"

struct stamp {
    bool wanted;
    uint64_t key;            /* random: nobody else makes contexts that it knows */
    uint64_t count;          /* made so far */
    struct trace_ref parent; /* all of them belong to its trace; all zero: each has its own */
    unsigned flags;          /* of the parent; 1 (sampled) without one */
};

/* parent: a W3C traceparent, or NULL. False when there is no randomness. */
bool stamp_init(struct stamp *s, const char *parent);

/* A channel's edit: gives a request without a context one. arg: struct stamp. */
size_t stamp_line(void *arg, const char *line, size_t n, char piece[CHANNEL_PIECE], size_t *at);

/* Whether a traceparent is one of ours. s may be NULL: no. */
bool stamp_is_ours(const struct stamp *s, const char *traceparent);

#endif
