/* secret_token: secrets that are known by how they begin. Floor 3. No I/O.
 *
 * Tokens with a well-known prefix, JSON web tokens, Bearer and Basic
 * credentials. Random text without a mark (a hash, a UUID) is none. */
#ifndef MCPTALLY_PIPELINE_SECRET_TOKEN_H
#define MCPTALLY_PIPELINE_SECRET_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "pipeline/secret_rule.h"

/* An index over the table of prefixes by their first byte. */
struct secret_tokens {
    uint8_t from[129];
};

void secret_tokens_init(struct secret_tokens *t);

/* Whether a secret begins at s, which is where a word begins. Returns its bytes,
 * 0 for none; *skip of them come before the secret part ("Bearer "). */
size_t secret_token(const struct secret_tokens *t, struct str s, size_t *skip,
                    enum secret_rule *rule);

#endif
