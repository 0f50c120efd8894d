/* text_view: a text as it reads once its escapes are undone, and where each
 * character of that came from. Floor 3. No I/O.
 *
 * Undone are %XX at any depth (%3D, %253D), JSON's \u00XX and \/ at any depth.
 * Backslashes before quotes stay: they tell how deep a quote lies. A text
 * without escapes is viewed in place. */
#ifndef MCPTALLY_PIPELINE_TEXT_VIEW_H
#define MCPTALLY_PIPELINE_TEXT_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct text_view {
    const char *p;
    size_t n;
    uint32_t *raw; /* n + 1 offsets into the text; NULL: the view is the text. Owned */
    char *own;     /* = p when raw is set */
};

/* 0; -ERR_NOMEM; -ERR_RANGE for 4 GiB and more. The text has to outlive the view. */
int text_view_init(struct text_view *v, struct str text);
void text_view_fini(struct text_view *v);

/* Where character i lies in the text; i may be n. */
static inline size_t text_view_raw(const struct text_view *v, size_t i)
{
    return v->raw ? v->raw[i] : i;
}

/* Bytes of the text that character i takes: 1 if it is not escaped, the more the
 * deeper. Only a character of no higher level can end what another began. */
static inline size_t text_view_level(const struct text_view *v, size_t i)
{
    return v->raw ? v->raw[i + 1] - v->raw[i] : 1;
}

#endif
