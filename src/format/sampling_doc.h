/* sampling_doc: what `mcptally sampling --json` shows. Floor 3. */
#ifndef MCPTALLY_FORMAT_SAMPLING_DOC_H
#define MCPTALLY_FORMAT_SAMPLING_DOC_H

#include "format/json.h"
#include "pipeline/sampling.h"

/* An object: enabled, flood (steps of two by which the rates have fallen), traces
 * (remembered), tiers: {critical: {configured, set, now}, ...}. */
void sampling_doc(struct json_writer *j, const char *key, const struct sampling *s);

#endif
