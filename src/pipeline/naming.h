/* naming: from a producer's labels to the identity of a series. Floor 3. */
#ifndef MCPTALLY_PIPELINE_NAMING_H
#define MCPTALLY_PIPELINE_NAMING_H

#include "pipeline/pipeline.h"
#include "store/series.h"
#include "wire/decode.h"

/* Fills in what series_make() asks: the canonical text of the labels with the
 * service_name of their owner among them, redacted, and what belongs to the
 * cardinality limit. At most LIMIT_LABELS labels. The texts lie in the pipeline's
 * scratch until the next call. 0; -ERR_RANGE when the label set is larger than
 * LIMIT_LABEL_BYTES; -ERR_NOMEM. */
int naming_ask(struct pipeline *pl, struct str service, const struct label *labels, unsigned n,
               struct series_ask *ask);

/* The service of a session, which has to be there. */
struct str naming_session(const struct pipeline *pl, uint32_t session);

#endif
