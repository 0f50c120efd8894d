/* secret_pattern: regular expressions of the configuration. Floor 3. No I/O.
 *
 * POSIX extended ones, matched by TRE without back-references and approximate
 * matching, so in time linear in the text for each match; a text with very many
 * matches ends as one. They are compiled once. */
#ifndef MCPTALLY_PIPELINE_SECRET_PATTERN_H
#define MCPTALLY_PIPELINE_SECRET_PATTERN_H

#include "pipeline/secret_extent.h"

enum {
    SECRET_PATTERNS = 16,
    SECRET_PATTERN_MAX = 256, /* bytes of an expression */
    SECRET_PATTERN_HITS = 64  /* in one text; from the last on, the rest of it goes */
};

struct secret_patterns;

/* 0, or -ERR_SYNTAX and in `why` what was expected. */
int secret_pattern_check(struct str expression, char *why, size_t why_size);

/* Compiles n of them that were checked. NULL when memory is out. */
struct secret_patterns *secret_patterns_new(const struct str *expressions, unsigned n);
void secret_patterns_free(struct secret_patterns *p);
unsigned secret_patterns_count(const struct secret_patterns *p); /* p may be NULL */

/* The first match of pattern i in the text from there on, which is not empty: 1, or 0
 * for none, or -ERR_NOMEM. */
int secret_pattern_find(const struct secret_patterns *p, unsigned i, struct str text, size_t from,
                        struct secret_place *out);

#endif
