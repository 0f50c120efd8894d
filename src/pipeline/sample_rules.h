/* sample_rules: which tier a span is in. Floor 3. No I/O. */
#ifndef MCPTALLY_PIPELINE_SAMPLE_RULES_H
#define MCPTALLY_PIPELINE_SAMPLE_RULES_H

#include "pipeline/sampling.h"

struct sample_rules;

/* Copies them. NULL when memory is out. */
struct sample_rules *sample_rules_new(const struct sample_rule *rules, unsigned n);
void sample_rules_free(struct sample_rules *r);

/* The tier of the first rule that the span matches, TIER_MAX when there is none. */
enum sample_tier sample_rules_match(const struct sample_rules *r, const struct sample_span *span);

/* The keys of all attributes that decide anything, here or in sample_forced(). */
const struct str *sample_rules_keys(const struct sample_rules *r, unsigned *n);

/* Whether one of its attributes asks for it to be kept: sampling.priority of 1 or
 * more, mcptally.keep = true. */
bool sample_forced(const struct event *e);

#endif
