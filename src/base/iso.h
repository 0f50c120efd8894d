/* iso: times as ISO 8601 text in UTC, by arithmetic alone. Floor 0. */
#ifndef MCPTALLY_BASE_ISO_H
#define MCPTALLY_BASE_ISO_H

#include <stdbool.h>
#include <stdint.h>

enum { ISO_TEXT = 28 };

/* ns since 1970 as "2026-11-21T13:45:09.123456Z", and a NUL. Years beyond 9999 are 9999. */
void iso_write(char to[ISO_TEXT], uint64_t wall);

/* Such a text; also "2026-11-21", with "T13:45", seconds and up to nine digits of a fraction,
 * each with or without the Z. False for another, or a date that there is not. */
bool iso_read(const char *text, uint64_t *wall);

#endif
