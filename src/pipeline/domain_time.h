/* domain_time: for how long a domain was available. Floor 3. For domain.c.
 *
 * Three rings of buckets, each of so many periods of equal length; a period has its
 * bucket by its number, so that words are bounded and nothing is moved. */
#ifndef MCPTALLY_PIPELINE_DOMAIN_TIME_H
#define MCPTALLY_PIPELINE_DOMAIN_TIME_H

#include "pipeline/domain.h"

/* Counts the time since it was settled last as available or not, inside the open batch.
 * Of a pause that is longer than a loop which turns ever makes only the first part was
 * available. */
void domain_settle(struct store *st, unsigned d, uint64_t mono, bool available);

#endif
