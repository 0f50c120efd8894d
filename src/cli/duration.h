/* duration: spans of time as people write and read them. All in ns. */
#ifndef MCPTALLY_CLI_DURATION_H
#define MCPTALLY_CLI_DURATION_H

#include <stdint.h>

#include "base/buf.h"

/* "2", "1.5s", "250ms", "10us", "40ns", "3m", "1h": no unit means seconds.
 * 0, or -ERR_SYNTAX; -ERR_RANGE past 100 years. */
int duration_parse(const char *text, uint64_t *out);

/* Three digits and a unit: "640 ns", "12.3 ms", "1.20 s"; above a minute "3m04s",
 * "2h05m", "4d03h". */
void duration_add(struct buf *to, uint64_t ns);

/* A moment, ns since 1970, as 2026-11-21T02:31:05.123456789Z with `digits` (0 to
 * 9) of the fraction. */
void moment_add(struct buf *to, uint64_t ns, unsigned digits);

#endif
