/* secret_key: which keys say that their value is a secret. Floor 3. No I/O.
 *
 * A key is split into words at everything that is neither letter nor digit and at
 * camelCase; digits at a word's end and case do not matter. */
#ifndef MCPTALLY_PIPELINE_SECRET_KEY_H
#define MCPTALLY_PIPELINE_SECRET_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* How much a key alone says about its value; the higher, the more. */
enum secret_grade {
    GRADE_NONE,
    GRADE_RANDOM, /* a secret if it looks random: auth, signature */
    GRADE_DIR,    /* a secret unless it is a path: pwd */
    GRADE_TOKEN,  /* a secret unless it is a small number: token */
    GRADE_SECRET, /* a secret whatever it is: password */
    GRADE_LINE,   /* likewise; in text, all that follows on the line: Authorization */
};

struct secret_keys;

/* Besides the built-in words: `extra` keys are of GRADE_SECRET, keys equal to one
 * of `allow` of GRADE_NONE. Copies both. NULL when memory is out. */
struct secret_keys *secret_keys_new(const struct str *extra, unsigned nextra,
                                    const struct str *allow, unsigned nallow);
void secret_keys_free(struct secret_keys *k);

/* Of a key longer than 128 bytes only the end counts. */
enum secret_grade secret_key_grade(const struct secret_keys *k, struct str key);

/* Whether a value under a key of this grade is a secret. Nothing is hidden by
 * hiding "", "true", "null", "****" or what was redacted before. */
bool secret_value(enum secret_grade grade, struct str value);

/* Letters and digits mixed as people do not write them, 12 or more. */
bool secret_looks_random(struct str value);

#endif
