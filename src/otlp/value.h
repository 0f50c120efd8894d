/* value: OTLP's attributes, texts and ids, checked. Floor 1. Private to otlp/.
 *
 * All functions check the whole of what they are given and return an error for
 * drop_of_error(): -ERR_UTF8, -ERR_SYNTAX, -ERR_SHORT, or -ERR_RANGE for values that
 * lie deeper than LIMIT_OTLP_DEPTH. A value that is set twice is refused: readers
 * would not agree which one counts, and who looks for secrets would look at one. */
#ifndef MCPTALLY_OTLP_VALUE_H
#define MCPTALLY_OTLP_VALUE_H

#include "base/buf.h"
#include "model/event.h"
#include "otlp/field.h"
#include "otlp/limits.h"

/* Text, and what of it an event may show: at most max bytes, and nothing from a NUL on,
 * which OTLP allows and an event does not. */
int value_text(struct str s, size_t max, struct str *view);

/* The same for what is one line and has a meaning as a whole: empty when an event may not
 * show it. */
int value_line(struct str s, size_t max, struct str *view);

/* What of a text is one line: up to its first control character. */
int value_plain(struct str s, size_t max, struct str *view);

/* The same for a name, of at most LIMIT_NAME bytes: one that is empty is not known. */
int value_name(struct str s, struct str *view);

/* Whether value_name() would take it as it is: not empty, short, and printable ASCII. It may say
 * no to what it would, too. */
bool value_is_plain(struct str s);

/* An id of n bytes, or none at all (zeros). */
int value_id(struct str s, uint8_t *to, size_t n);

/* An AnyValue at a depth (1: of an attribute). 1 with type and value in *out when it is a
 * scalar that an attribute of an event can hold, 0 when it is anything else. */
int value_any(struct str any, unsigned depth, struct attr *out);

/* A KeyValue, likewise; its key too must be one of an event's. */
int value_attr(struct str pair, unsigned depth, struct attr *out);

/* A field of attributes: those that fit are appended to attrs[LIMIT_ATTRS]. */
static inline void value_add(struct fields *r, struct str pair, struct attr *attrs, unsigned *n,
                             bool *cut)
{
    struct attr beyond;
    struct attr *to = *n < LIMIT_ATTRS ? &attrs[*n] : &beyond;
    const int e = value_attr(pair, 1, to);
    if (e < 0)
        fields_fail(r, (enum err) - e);
    else if (e == 0 || to == &beyond)
        *cut = true;
    else
        ++*n;
}

/* Keeps an error of the functions above. */
static inline void value_check(struct fields *r, int e)
{
    if (e < 0)
        fields_fail(r, (enum err) - e);
}

/* Text that value_text() has taken as a JSON string, and an AnyValue that value_any() has
 * taken as JSON; both stop soon after the buffer has `most` bytes. */
void value_json_text(struct buf *to, struct str s, size_t most);
void value_json(struct buf *to, struct str any, size_t most);

#endif
