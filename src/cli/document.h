/* document: prints an answer of the daemon, as it is or as text. */
#ifndef MCPTALLY_CLI_DOCUMENT_H
#define MCPTALLY_CLI_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* Appends what a document says. */
typedef void document_text(struct buf *to, const json_t *doc, void *arg);

/* To stdout. CLI_OK, or CLI_FAILURE when the answer is no JSON, which is said. */
int document_print(const struct buf *answer, bool as_json, document_text *text, void *arg);

#endif
