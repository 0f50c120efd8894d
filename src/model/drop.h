/* drop: the one table of reasons for which a received item is not applied. Floor 1.
 *
 * received = applied + sum over these. A new way to drop is a new row here:
 * it appears in /metrics, in REJECT frames, in `mcptally status` and in
 * man/mcptally-metrics.7 by itself. Rows are appended, never renumbered:
 * the numbers are on the wire and in the store. */
#ifndef MCPTALLY_MODEL_DROP_H
#define MCPTALLY_MODEL_DROP_H

/* X(SYMBOL, "word", "meaning") */
#define DROP_TABLE(X)                                                                              \
    X(MALFORMED, "malformed", "the item or its frame does not have the form required")             \
    X(UTF8, "invalid_utf8", "text is not valid UTF-8")                                             \
    X(NAME, "invalid_name", "a name has characters or a length that names may not have")           \
    X(LIMIT, "over_limit", "a count or length is above the protocol's limit")                      \
    X(NOT_FINITE, "not_finite", "a value is NaN or infinite")                                      \
    X(NEGATIVE, "negative", "a counter was given a negative value")                                \
    X(UNKNOWN_ID, "unknown_id", "an update names a series that was not defined")                   \
    X(CONFLICT, "conflict", "a definition contradicts the metric's kind or value type")            \
    X(RESERVED, "reserved_name", "a producer may not define a metric that the daemon declares")    \
    X(METRICS_FULL, "metrics_full", "the store has no room for another metric")                    \
    X(SERIES_FULL, "series_full", "the store or the domain has no room for another series")        \
    X(IDS_FULL, "ids_full", "the connection has used all its series ids")                          \
    X(RATE_LIMITED, "rate_limited", "the domain is over its rate")                                 \
    X(SAMPLED, "sampled", "left out by sampling")                                                  \
    X(RING_FULL, "ring_full", "the item is larger than the event ring takes")                      \
    X(SESSIONS_FULL, "sessions_full", "the store has no room for another session")                 \
    X(TORN, "torn", "a record that its dead producer did not finish")                              \
    X(BOUNDS_MISMATCH, "bounds_mismatch", "a histogram has other bounds than its metric")          \
    X(RING_SHARE, "ring_share",                                                                    \
      "the domain has more than its share of what a ring's readers have not read")                 \
    X(DOMAIN_CLOSED, "domain_closed", "the domain's breaker is open, or it is drained")

enum drop_reason {
#define X(sym, word, help) DROP_##sym,
    DROP_TABLE(X)
#undef X
        DROP_MAX
};

/* The stable word of a reason, "unknown" outside the table. Never NULL. */
const char *drop_name(unsigned reason);

/* One line of English for it. Never NULL. */
const char *drop_help(unsigned reason);

#endif
