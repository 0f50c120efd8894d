/* json_tree: parsed JSON into protobuf, field by field. Floor 1. Private to otlp/.
 *
 * All functions return 0, or -ERR_SYNTAX or -ERR_RANGE with a line that names the place. */
#ifndef MCPTALLY_OTLP_JSON_TREE_H
#define MCPTALLY_OTLP_JSON_TREE_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/err.h"
#include "otlp/limits.h"

enum {
    /* Levels of messages: those around an attribute, and three for each level of its value
     * (AnyValue, KeyValueList, KeyValue). Stops a text that is all brackets. */
    JSON_DEPTH_MAX = 16 + 3 * LIMIT_OTLP_DEPTH,
};

/* Where in the text we are, for the message. */
struct json_place {
    const struct json_place *up;
    const char *key; /* NULL: the index counts */
    size_t index;
    unsigned depth;
};

struct json_reader {
    struct buf *to;
    char *why;
    size_t why_size;
};

int json_fail(struct json_reader *r, const struct json_place *at, enum err e, const char *expected);

/* NULL: the message has no field of that name. */
const ProtobufCFieldDescriptor *json_field_of(const ProtobufCMessageDescriptor *d, const char *key);

/* The fields of a message; what has a tag and a length around it is the caller's. */
int json_message(struct json_reader *r, const struct json_place *up,
                 const ProtobufCMessageDescriptor *d, const json_t *j);

/* A field with all of its values; nothing for null. */
int json_member(struct json_reader *r, const struct json_place *at,
                const ProtobufCFieldDescriptor *f, const json_t *j);

/* One value of a repeated field; the tag of packed numbers is the caller's. */
int json_element(struct json_reader *r, const struct json_place *at,
                 const ProtobufCFieldDescriptor *f, const json_t *j);

#endif
