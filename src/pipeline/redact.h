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
#include "pipeline/secret_rule.h"

#define REDACTED STR("[REDACTED]") /* what stands in a secret's place */

struct redact_options {
    bool enabled;           /* false: nothing is a secret */
    bool keep_tool_content; /* else gen_ai.tool.call.arguments and .result are replaced,
                               whatever they hold, and also when nothing is a secret */
    uint32_t off;           /* 1 << enum secret_rule: rules that are switched off */
    unsigned npatterns;
    const struct str *patterns; /* expressions that passed redact_pattern_check() */
    unsigned nkeys, nallow;
    const struct str *keys;  /* further keys whose values are secrets, such as "badge_number" */
    const struct str *allow; /* whole keys whose values are never judged by the key */
};

/* Where a secret was found: the label `place` of mcptally_redactions_total. */
enum redact_place { REDACT_LABEL, REDACT_ATTRIBUTE, REDACT_TEXT, REDACT_PLACES };

const char *redact_place_name(unsigned place); /* "label", "attribute", "text" */

struct redact_count {
    unsigned all; /* the sum of n; 0: nothing was changed */
    unsigned n[SECRET_RULES][REDACT_PLACES];
};

enum { REDACT_PATTERNS = 16 };

/* 0, or -ERR_SYNTAX and in `why` what was expected. */
int redact_pattern_check(struct str expression, char *why, size_t why_size);

struct redact;

/* Copies what it needs from the options. NULL when memory is out. */
struct redact *redact_new(const struct redact_options *o);
void redact_free(struct redact *r);

/* Whether a value under this key (a label's, an attribute's) has to become
 * REDACTED as a whole: the rule that says so, or -1. r may be NULL in every call: no
 * redaction. */
int redact_judge(const struct redact *r, struct str key, struct str value);

static inline bool redact_value(const struct redact *r, struct str key, struct str value)
{
    return redact_judge(r, key, value) >= 0;
}

/* What a key says, for values that have to be judged under more than one: inside lists
 * and maps the keys around them count as well. */
struct redact_key {
    uint8_t grade; /* enum secret_grade */
    bool tool;     /* tool content that is not kept: the value goes, whatever it is */
    bool secret;   /* the key itself holds one and has to become REDACTED */
};
struct redact_key redact_key(const struct redact *r, struct str key);

/* redact_judge() under a key of that grade. */
int redact_judge_graded(const struct redact *r, unsigned grade, struct str value);

/* Appends free text to `out` with every secret in it replaced, and returns how
 * many there were. 0: the text holds none and nothing was appended. The result
 * may be longer than the text. */
size_t redact_text(const struct redact *r, struct str text, struct buf *out);

/* The same, and counts them, as of that place. */
size_t redact_text_count(const struct redact *r, struct str text, struct buf *out,
                         enum redact_place place, struct redact_count *count);

/* The rule that finds the first secret in a text, or -1. Without allocation for a text that
 * has no escapes in it. */
int redact_text_holds(const struct redact *r, struct str text);

static inline void redact_counted(struct redact_count *count, enum secret_rule rule,
                                  enum redact_place place)
{
    count->all++;
    count->n[rule][place]++;
}

/* Short pieces of messages that hold no secret: spans come with the same few again and again, and
 * to compare one is a small part of judging it. `kind` is of the caller's, who asks with the same
 * bytes only for the same answer. What was noted longest ago may be forgotten. */
enum redact_piece { PIECE_NONE, PIECE_PAIR, PIECE_TEXT };
bool redact_is_clean(const struct redact *r, enum redact_piece kind, struct str piece);
void redact_note_clean(const struct redact *r, enum redact_piece kind, struct str piece);

/* Rewrites an event in place: string attributes as values; name, text and
 * correlation id, tracestates, and the names of span events, as free text, cut to their
 * limits again. What is rewritten points into `scratch`, which is appended to,
 * and has to live as long as the event. Adds to *count. */
void redact_event(const struct redact *r, struct event *e, struct buf *scratch,
                  struct redact_count *count);

#endif
