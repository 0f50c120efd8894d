/* otlp_random: random OTLP messages, made from protobuf-c's descriptors; seeded. */
#ifndef TESTS_OTLP_RANDOM_H
#define TESTS_OTLP_RANDOM_H

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "../sim/rng.h"

enum { RANDOM_DEPTH = 12 };

static inline ProtobufCMessage *random_message(struct rng *r, const ProtobufCMessageDescriptor *d,
                                               unsigned depth);

static inline char *random_text(struct rng *r, const char *name)
{
    static const char *const words[] = {"http.method",
                                        "GET",
                                        "a b c",
                                        "\xc3\xa4\xe2\x82\xac",
                                        "service.name",
                                        "x",
                                        "\xf0\x9f\x98\x80 long enough a text",
                                        "line\nline",
                                        "0123456789abcdef0123456789abcdef"};
    char text[64];
    const char *word = words[rng_below(r, sizeof words / sizeof *words)];
    if (strcmp(name, "key") == 0)
        snprintf(text, sizeof text, "key.%u", rng_below(r, 1000));
    else if (strcmp(name, "name") == 0)
        snprintf(text, sizeof text, "name %u", rng_below(r, 1000));
    else if (strcmp(name, "trace_state") == 0)
        snprintf(text, sizeof text, "ot=th:%x", rng_below(r, 1000) + 1);
    else
        snprintf(text, sizeof text, "%s", word);
    return strdup(text);
}

/* Ids have their lengths; other bytes any. */
static inline ProtobufCBinaryData random_bytes(struct rng *r, const char *name)
{
    const bool trace = strstr(name, "trace_id"), span = strstr(name, "span_id");
    ProtobufCBinaryData b = {.len = trace ? 16 : span ? 8 : rng_below(r, 20)};
    b.data = malloc(b.len + 1);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (uint8_t)(rng_next(r) | (trace || span));
    return b;
}

static inline double random_double(struct rng *r)
{
    return ((double)rng_below(r, 2000001) - 1000000) / (1 + rng_below(r, 1000));
}

static inline uint64_t random_u64(struct rng *r)
{
    return rng_next(r) >> rng_below(r, 64);
}

static inline void random_value(struct rng *r, const ProtobufCFieldDescriptor *f, void *to,
                                unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)to = random_text(r, f->name);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)to = random_bytes(r, f->name);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)to = random_message(r, f->descriptor, depth + 1);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)to = random_double(r);
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *e = f->descriptor;
        *(int *)to = e->values[rng_below(r, e->n_values)].value;
        break;
    }
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = rng_chance(r, 50);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *(uint64_t *)to = random_u64(r);
        break;
    default:
        *(uint32_t *)to = (uint32_t)random_u64(r);
    }
}

static inline size_t random_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return 8;
    default:
        return 4;
    }
}

static inline void random_repeated(struct rng *r, const ProtobufCFieldDescriptor *f, char *m,
                                   unsigned depth)
{
    const size_t n = depth < RANDOM_DEPTH ? rng_below(r, 4) : 0;
    if (n == 0)
        return;
    char *array = calloc(n, random_size(f));
    for (size_t i = 0; i < n; i++)
        random_value(r, f, array + i * random_size(f), depth);
    *(void **)(m + f->offset) = array;
    *(size_t *)(m + f->quantifier_offset) = n;
}

static inline ProtobufCMessage *random_message(struct rng *r, const ProtobufCMessageDescriptor *d,
                                               unsigned depth)
{
    char *m = calloc(1, d->sizeof_message);
    d->message_init((ProtobufCMessage *)m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            random_repeated(r, f, m, depth);
            continue;
        }
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && depth >= RANDOM_DEPTH)
            continue;
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            uint32_t *which = (uint32_t *)(m + f->quantifier_offset);
            if (*which != 0 || rng_chance(r, 60))
                continue;
            *which = f->id;
        } else if (!strstr(f->name, "_id") && rng_chance(r, 25)) {
            continue;
        }
        random_value(r, f, m + f->offset, depth);
    }
    return (ProtobufCMessage *)m;
}

#endif
