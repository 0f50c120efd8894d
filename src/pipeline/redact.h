/* redact: takes secrets out before anything is stored. Floor 3. No I/O.
 *
 * A value is a secret by its key (password, api_key, Authorization ...) or by
 * its content (Bearer and Basic credentials, JSON web tokens, the well-known
 * prefixes of tokens, PEM private keys, URLs with a password, key=value pairs in
 * text, JSON or percent-encoded text at any depth). Keys are split into words
 * at . _ - / and at camelCase; case does not matter. Numbers and booleans with
 * a type of their own are never secrets.
 *
 * Time is linear in the text. A struct redact does not change once made, so it
 * may be replaced between two events. Out of memory never lets a secret pass:
 * the whole value goes. */
#ifndef MCPTALLY_PIPELINE_REDACT_H
#define MCPTALLY_PIPELINE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "model/event.h"

#define REDACTED STR("[REDACTED]") /* what stands in a secret's place */

struct redact_options {
    bool enabled; /* false: nothing is a secret */
    unsigned nkeys, nallow;
    const struct str *keys;  /* further keys whose values are secrets, such as "badge_number" */
    const struct str *allow; /* whole keys whose values are never judged by the key */
};

/* Where a secret was found: the label `place` of mcptally_redactions_total, in
 * this order. */
enum redact_place { REDACT_LABEL, REDACT_ATTRIBUTE, REDACT_TEXT, REDACT_PLACES };

struct redact_count {
    unsigned n[REDACT_PLACES];
};

struct redact;

/* Copies what it needs from the options. NULL when memory is out. */
struct redact *redact_new(const struct redact_options *o);
void redact_free(struct redact *r);

/* Whether a value under this key (a label's, an attribute's) has to become
 * REDACTED as a whole. r may be NULL in every call: no redaction. */
bool redact_value(const struct redact *r, struct str key, struct str value);

/* Appends free text to `out` with every secret in it replaced, and returns how
 * many there were. 0: the text holds none and nothing was appended. The result
 * may be longer than the text. */
size_t redact_text(const struct redact *r, struct str text, struct buf *out);

/* Rewrites an event in place: string attributes as values; name, text and
 * correlation id, and the names of span events, as free text, cut to their
 * limits again. What is rewritten points into `scratch`, which is appended to,
 * and has to live as long as the event. Adds to *count. */
void redact_event(const struct redact *r, struct event *e, struct buf *scratch,
                  struct redact_count *count);

#endif
