/* envelope: finds the parts of a JSON-RPC message that an observer needs while
 * the message streams past. Floor 2. It listens to one json automaton. */
#ifndef MCPTALLY_MCP_ENVELOPE_H
#define MCPTALLY_MCP_ENVELOPE_H

#include "mcp/json.h"
#include "mcp/message.h"

enum {
    ENVELOPE_KEY = 47,   /* bytes of the longest key looked for, or more */
    ENVELOPE_LEVELS = 6, /* containers whose place is known */
};

struct envelope_field;

/* A text as it is taken out of the stream. */
struct capture {
    char *to;
    uint16_t n, room;
};

struct envelope {
    struct json json;
    struct mcp_message message;
    void (*complete)(void *arg, const struct mcp_message *m);
    void *arg;
    bool batch; /* the root is an array: a message ends with its own bracket */
    bool open;  /* inside a message's own object */
    uint8_t place[ENVELOPE_LEVELS];
    uint64_t result_from;
    const struct envelope_field *field; /* that the next value belongs to */
    struct capture capture;
    struct mcp_id *id;             /* that is being read */
    char scalar[ENVELOPE_KEY + 1]; /* the key, number or literal in hand */
};

/* `complete` is called for every message of a batch when its object closes. */
void envelope_init(struct envelope *e, void (*complete)(void *arg, const struct mcp_message *m),
                   void *arg);

/* Forgets everything; ready for the next line. */
void envelope_reset(struct envelope *e);

/* False when the line cannot be JSON. */
bool envelope_feed(struct envelope *e, const char *p, size_t n);

/* Ends the line: false when it was not JSON. Calls `complete` for a root that is
 * one message, with kind MCP_INVALID for any other value but an array. */
bool envelope_finish(struct envelope *e);

/* Whether the line had nothing but white space so far. */
bool envelope_blank(const struct envelope *e);

#endif
