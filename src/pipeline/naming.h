/* naming: from a producer's labels to the identity of a series. Floor 3. */
#ifndef MCPTALLY_PIPELINE_NAMING_H
#define MCPTALLY_PIPELINE_NAMING_H

#include "pipeline/pipeline.h"
#include "store/series.h"
#include "wire/decode.h"

/* Fills in what series_make() asks: the canonical text of the labels with the
 * session's service_name among them, redacted, and what belongs to the
 * cardinality limit. The texts lie in the pipeline's scratch until the next
 * call. 0, or -ERR_RANGE when the label set is larger than LIMIT_LABEL_BYTES. */
int naming_ask(struct pipeline *pl, uint32_t session, const struct label *labels, unsigned n,
               struct series_ask *ask);

#endif
