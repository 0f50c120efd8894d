/* text: what counts as good text and a good name. Floor 1. */
#ifndef MCPTALLY_MODEL_TEXT_H
#define MCPTALLY_MODEL_TEXT_H

#include <stdbool.h>

#include "base/str.h"

/* Valid UTF-8, no NUL. Overlong forms and surrogates are invalid. */
bool text_utf8(struct str s);

/* The longest prefix of at most n bytes that does not split a character. */
struct str text_cut(struct str s, size_t n);

/* A label or attribute key: 1 to LIMIT_KEY bytes of printable ASCII without
 * quotes, backslash or space. */
bool text_key_ok(struct str key);

/* UTF-8 without control characters. */
bool text_line_ok(struct str s);

/* An event, span or component name: such a text of 1 to LIMIT_NAME bytes. */
bool text_name_ok(struct str name);

#endif
