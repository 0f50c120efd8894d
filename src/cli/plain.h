/* plain: text of strangers, made safe for a terminal.
 *
 * Control characters could move the cursor, change the title or answer in the
 * user's name; bidirectional overrides could make a line read differently from
 * what it says. Both become visible escapes: \n, \x1b, \u202e. */
#ifndef MCPTALLY_CLI_PLAIN_H
#define MCPTALLY_CLI_PLAIN_H

#include "base/buf.h"

/* Appends s, which is UTF-8; bytes that are not become \xNN. */
void plain_add(struct buf *to, struct str s);

/* Characters that it makes of s. */
size_t plain_width(struct str s);

/* The same in at most `columns` characters: cut with "~" when it is longer, and
 * filled with spaces when it is shorter. */
void plain_add_fixed(struct buf *to, struct str s, size_t columns);

#endif
