/* emission: one item as `mcptally emit` takes it, from words to the library. */
#ifndef MCPTALLY_CLI_EMISSION_H
#define MCPTALLY_CLI_EMISSION_H

#include <stdbool.h>

#include "client/mcptally.h"
#include "model/limits.h"

/* X(SYMBOL, "word", operands that must come first, "usage") */
#define EMISSION_TABLE(X)                                                                          \
    X(COUNTER, "counter", 2, "counter NAME VALUE [label=value]...")                                \
    X(GAUGE, "gauge", 2, "gauge NAME VALUE [label=value]...")                                      \
    X(HISTOGRAM, "histogram", 2, "histogram NAME VALUE [label=value]...")                          \
    X(SUMMARY, "summary", 2, "summary NAME VALUE [label=value]...")                                \
    X(EVENT, "event", 1, "event NAME [key=value]...")                                              \
    X(LOG, "log", 2, "log LEVEL MESSAGE [key=value]...")                                           \
    X(HEALTH, "health", 2, "health COMPONENT STATUS [MESSAGE]")                                    \
    X(SPAN, "span", 2, "span NAME DURATION [key=value]...")

enum emission_kind {
#define X(sym, word, operands, usage) EMIT_##sym,
    EMISSION_TABLE(X)
#undef X
        EMISSION_KINDS
};

/* What is given by options; texts are borrowed, NULL: not given. */
struct emission_options {
    const char *unit, *help, *join, *buckets, *correlation, *parent, *error;
};

struct emission_value {
    const char *key, *text;
    double number;
    bool is_number;
};

struct emission {
    enum emission_kind kind;
    struct emission_options options;
    const char *name; /* of the metric, event, span or component */
    const char *text; /* log message, health message or NULL */
    bool whole;       /* a counter's value is a whole number */
    uint64_t count;   /* then this */
    double value;     /* else this; a span's duration in seconds */
    int level;        /* severity or state */
    unsigned nvalues;
    struct emission_value values[LIMIT_ATTRS];
    unsigned nbounds;
    double bounds[LIMIT_BOUNDS];
};

enum { EMISSION_WHY = 256 };

/* Reads an item from its words, which must stay and whose '=' are overwritten.
 * 0, or -ERR_SYNTAX and a line that says what is wrong. */
int emission_parse(struct emission *e, const struct emission_options *o, int nwords, char **words,
                   char why[EMISSION_WHY]);

/* Splits a line into words as a shell does with quotes and backslashes, in place.
 * Returns how many, or -ERR_SYNTAX for an open quote, -ERR_FULL for more than
 * `max` - 1; words[n] is NULL. */
int emission_split(char *line, char **words, int max);

/* Hands it to the library. A span ends at `now`, ns since 1970. */
void emission_send(const struct emission *e, mcptally *m, uint64_t now);

#endif
