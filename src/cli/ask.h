/* ask: one request to the daemon's control socket. */
#ifndef MCPTALLY_CLI_ASK_H
#define MCPTALLY_CLI_ASK_H

#include <stdint.h>

#include "base/buf.h"

/* Sends `request` (one line of JSON, without its end) to the socket at `path`
 * and appends the whole answer to `answer`. Waits for `timeout` ns in all. 0,
 * -ERR_IO (errno tells why; ENOENT and ECONNREFUSED: no daemon), -ERR_TIMEOUT,
 * -ERR_FULL when the answer is larger than the buffer may be. */
int ask(const char *path, const char *request, uint64_t timeout, struct buf *answer);

/* Whether somebody listens on the socket: 0, or -ERR_IO (errno tells why). */
int ask_listening(const char *path);

#endif
