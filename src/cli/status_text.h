/* status_text: the status document as one screen for people. */
#ifndef MCPTALLY_CLI_STATUS_TEXT_H
#define MCPTALLY_CLI_STATUS_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* Appends it; keys that are missing are left out. */
void status_text(struct buf *to, const json_t *status, bool colour);

#endif
