/* source: an answer of the daemon or, when none runs, the store it has left. */
#ifndef MCPTALLY_CLI_SOURCE_H
#define MCPTALLY_CLI_SOURCE_H

#include "base/buf.h"
#include "cli/place.h"
#include "cli/view.h"

/* Asks the daemon, for at most `timeout` ns in all, and appends its answer; an
 * answer that is an error is reported. When no daemon runs, opens the store
 * instead: v->mem is then not NULL, and view_close() is due. A daemon that is
 * just starting is waited for. Returns an exit code; a message has told why. */
int source_ask(const struct place *place, const char *request, uint64_t timeout, struct buf *answer,
               struct view *v);

#endif
