/* secret_token: secrets that are known by how they begin. Floor 3. No I/O.
 *
 * Tokens with a well-known prefix, JSON web tokens, Bearer and Basic
 * credentials. Random text without a mark (a hash, a UUID) is none. */
#ifndef MCPTALLY_PIPELINE_SECRET_TOKEN_H
#define MCPTALLY_PIPELINE_SECRET_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "pipeline/secret_rule.h"

/* Nothing; a word, when it is the first of it; a form that is looked at. */
enum text_begins { TEXT_PASS, TEXT_WORD, TEXT_LOOK };

enum { TOKEN_START = 3, TOKEN_BITS = 1 << 15 };

/* An index over the table of prefixes by their first byte, and a set of hashes of what a
 * token can begin with, to pass over nearly all words quickly. */
struct secret_tokens {
    uint8_t from[129];
    uint8_t begins[256]; /* enum text_begins: what a character can be the beginning of */
    uint8_t starts[TOKEN_BITS / 8];
};

static inline unsigned token_start_hash(const char *p)
{
    const uint32_t v =
        (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16;
    return v * UINT32_C(0x9e3779b1) >> 17;
}

/* Whether a token may begin with these TOKEN_START bytes. Digits are not looked up. */
static inline bool secret_token_may(const struct secret_tokens *t, const char *p)
{
    const unsigned h = token_start_hash(p);
    return t->starts[h / 8] >> (h % 8) & 1;
}

void secret_tokens_init(struct secret_tokens *t);

/* Whether a secret begins at s, which is where a word begins. Returns its bytes,
 * 0 for none; *skip of them come before the secret part ("Bearer "). */
size_t secret_token(const struct secret_tokens *t, struct str s, size_t *skip,
                    enum secret_rule *rule);

#endif
