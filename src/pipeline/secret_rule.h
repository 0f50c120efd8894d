/* secret_rule: the one table of what makes a text a secret. Floor 3.
 *
 * The words are the label `rule` of mcptally_redactions_total and what
 * `redaction.disable` names. */
#ifndef MCPTALLY_PIPELINE_SECRET_RULE_H
#define MCPTALLY_PIPELINE_SECRET_RULE_H

#include "base/str.h"

/* X(SYMBOL, "word", "meaning") */
#define SECRET_RULE_TABLE(X)                                                                       \
    X(KEY, "key", "the value of an attribute or label whose key says so")                          \
    X(ASSIGNMENT, "assignment", "key = value, \"key\": \"value\" and their kin in a text")         \
    X(PHRASE, "phrase", "\"the password is ...\" in a text")                                       \
    X(FLAG, "flag", "--password value")                                                            \
    X(ELEMENT, "element", "<password>value</password>")                                            \
    X(BEARER, "bearer", "Bearer credentials")                                                      \
    X(BASIC, "basic", "Basic credentials")                                                         \
    X(JWT, "jwt", "JSON web tokens")                                                               \
    X(TOKEN_PREFIX, "token_prefix", "tokens with a well-known beginning")                          \
    X(PRIVATE_KEY, "private_key", "private keys in PEM")                                           \
    X(URL_CREDENTIALS, "url_credentials", "user and password in a URL or a data source name")      \
    X(PATTERN, "pattern", "a pattern of the configuration")                                        \
    X(TOOL_CONTENT, "tool_content", "arguments and results of tool calls")                         \
    X(MEMORY, "memory", "what could not be looked at for want of memory")

enum secret_rule {
#define X(sym, word, help) RULE_##sym,
    SECRET_RULE_TABLE(X)
#undef X
        SECRET_RULES
};

const char *secret_rule_name(unsigned rule); /* "unknown" outside the table */

/* The rule of a word; -ERR_NOTFOUND. */
int secret_rule_of(struct str name);

#endif
