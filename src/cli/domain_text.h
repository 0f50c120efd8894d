/* domain_text: failure domains for people, from the documents of format/domain_doc.h. */
#ifndef MCPTALLY_CLI_DOMAIN_TEXT_H
#define MCPTALLY_CLI_DOMAIN_TEXT_H

#include <jansson.h>

#include "base/buf.h"

void domain_text_list(struct buf *to, const json_t *list);
void domain_text(struct buf *to, const json_t *domain);

#endif
