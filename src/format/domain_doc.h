/* domain_doc: what `mcptally domain` shows. Floor 3. Read from the store alone, so that it
 * can be shown with no daemon running. */
#ifndef MCPTALLY_FORMAT_DOMAIN_DOC_H
#define MCPTALLY_FORMAT_DOMAIN_DOC_H

#include "format/json.h"
#include "pipeline/pipeline.h"

struct ledger;

/* How many domains a store has records of. */
unsigned domain_doc_count(const struct store *st);

/* One object. `o`: of the daemon that runs; NULL: none does, and nobody knows for how long a
 * state lasts. */
void domain_doc(struct json_writer *j, const char *key, const struct store *st,
                const struct ledger *l, unsigned d, const struct domain_options *o,
                struct when now);

/* {"running":..,"domains":[..]} of all. */
void domain_doc_list(struct json_writer *j, const struct store *st, const struct domain_options *o,
                     struct when now);

#endif
