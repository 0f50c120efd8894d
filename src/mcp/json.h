/* json: a streaming JSON automaton with fixed memory. Floor 2.
 *
 * Bytes come in any pieces; a listener is told of the structure and may ask for
 * the text of a scalar, which it gets unescaped, in pieces. Nothing is buffered,
 * so a value may have any size. Grammar is checked as RFC 8259 has it, except
 * that bytes of strings need not be UTF-8 (the receivers of MCP replace them)
 * and that below JSON_DEPTH levels brackets are only counted.
 *
 * An escaped surrogate without its partner is handed out as U+FFFD. */
#ifndef MCPTALLY_MCP_JSON_H
#define MCPTALLY_MCP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH = 256,            /* levels whose grammar is checked */
    JSON_DEPTH_MAX = 1000000000, /* brackets counted; more is not JSON to us */
};

enum json_scalar { JSON_KEY, JSON_STRING, JSON_NUMBER, JSON_LITERAL };

/* Depth is the number of open containers around the thing, 0 for the root
 * value; offset is the bytes fed before its first (open) or last (close) byte.
 * Below JSON_DEPTH levels nothing is told. */
struct json_listener {
    void (*open)(void *arg, bool object, unsigned depth, uint64_t offset);
    void (*close)(void *arg, unsigned depth, uint64_t offset);
    bool (*begin)(void *arg, enum json_scalar kind, unsigned depth); /* true: wants the text */
    void (*text)(void *arg, const char *p, size_t n);                /* only when it does */
    void (*end)(void *arg);                                          /* likewise */
};

struct json {
    const struct json_listener *listener;
    void *arg;
    uint8_t state;
    uint8_t number;   /* state within a number */
    bool key, wanted; /* of the scalar in hand */
    uint8_t digits;   /* of a \u escape read so far */
    uint8_t matched;  /* bytes of the literal read so far */
    const char *literal;
    uint16_t unit; /* UTF-16 unit of the \u escape in hand */
    uint16_t high; /* high surrogate that waits for its low one, or 0 */
    uint32_t depth;
    uint64_t objects[JSON_DEPTH / 64]; /* bit per level: 1 object, 0 array */
    uint64_t fed;                      /* bytes before the piece in hand */
    const char *piece;
};

/* The listener and arg are borrowed. */
void json_init(struct json *j, const struct json_listener *listener, void *arg);

/* Forgets everything fed; ready for the next value. */
void json_reset(struct json *j);

/* False, from the first byte on that cannot belong to a JSON text. */
bool json_feed(struct json *j, const char *p, size_t n);

/* Ends the text: whether it was exactly one JSON value. May tell the listener
 * the end of a number. */
bool json_finish(struct json *j);

/* Whether nothing but white space has been fed. */
bool json_blank(const struct json *j);

#endif
