/* sampling_text: the sampling document for people. */
#ifndef MCPTALLY_CLI_SAMPLING_TEXT_H
#define MCPTALLY_CLI_SAMPLING_TEXT_H

#include <jansson.h>

#include "base/buf.h"

/* A line for each tier, and one for what is unusual. */
void sampling_text(struct buf *to, const json_t *sampling);

/* "critical 100%, normal 25% (set), debug 1%", without a line end. */
void sampling_line(struct buf *to, const json_t *sampling);

#endif
