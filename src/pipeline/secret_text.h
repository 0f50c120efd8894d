/* secret_text: finds the secrets in a text, one after the other. Floor 3. No I/O.
 *
 * It sees through JSON inside JSON strings and through percent-encoding: what
 * opens a value (a quote behind so many backslashes, an escaped '=') decides
 * what ends it. Linear time. */
#ifndef MCPTALLY_PIPELINE_SECRET_TEXT_H
#define MCPTALLY_PIPELINE_SECRET_TEXT_H

#include "pipeline/secret_extent.h"
#include "pipeline/secret_key.h"
#include "pipeline/secret_pattern.h"
#include "pipeline/secret_token.h"

struct secret_text {
    const struct secret_keys *keys; /* borrowed */
    const struct secret_tokens *tokens;
    struct text_view v;
    size_t at;             /* how far it has looked, in the view */
    enum secret_rule rule; /* of the secret found last */
    uint32_t off;          /* 1 << rule: these find nothing */

    /* May be set after secret_text_init(). */
    const struct secret_patterns *patterns;
    bool searched;                             /* `next` has been filled */
    unsigned hits;                             /* of patterns */
    struct secret_place next[SECRET_PATTERNS]; /* of each, its next match; to 0: none */
};

/* 0, or what text_view_init() gives. */
int secret_text_init(struct secret_text *t, const struct secret_keys *keys,
                     const struct secret_tokens *tokens, struct str text);
void secret_text_fini(struct secret_text *t);

/* The next secret: true, what found it in t->rule, and its place in the text, which is not empty
 * and lies after the one before. */
bool secret_text_next(struct secret_text *t, struct secret_place *out);

#endif
