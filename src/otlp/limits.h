/* limits: the sizes that an OTLP item may not exceed; they bound what a request makes us
 * keep, and how deep it makes us go. Floor 1. Those of the own protocol, which apply to
 * what is in an item too, are in model/limits.h.
 * Users see them in man/mcptallyd.8, DESCRIPTION. */
#ifndef MCPTALLY_OTLP_LIMITS_H
#define MCPTALLY_OTLP_LIMITS_H

enum {
    LIMIT_RECORD = 131072,    /* bytes of one ring record's body: an OTLP item and its origin */
    LIMIT_ORIGIN = 32768,     /* bytes of a resource or scope, or of a metric but its points */
    LIMIT_OTLP_DEPTH = 32,    /* nesting of OTLP attribute values */
    LIMIT_OTLP_BUCKETS = 320, /* buckets of one OTLP histogram point */
    LIMIT_OTLP_QUANTILES = 16,
};

#endif
