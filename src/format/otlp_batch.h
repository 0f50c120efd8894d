/* otlp_batch: ring records into one Export*ServiceRequest. Floor 3. No I/O, no clock.
 *
 * Items of the same resource and scope stand together, whatever came between them.
 * What OTLP senders sent goes on byte for byte, with fields that nobody here knows; only
 * the tracestate of spans is changed, where sampling wants it. Our own items become
 * OTLP's (otlp_event.h). Used again and again: the memory is kept. */
#ifndef MCPTALLY_FORMAT_OTLP_BATCH_H
#define MCPTALLY_FORMAT_OTLP_BATCH_H

#include "model/tracestate.h"
#include "otlp/otlp.h"
#include "store/read.h"

enum { OTLP_BATCH_GROUPS = 128 }; /* pairs of resource and scope in one request */

struct otlp_batch {
    enum otlp_signal signal;
    size_t max_items, max_bytes;
    size_t items, bytes; /* of the request so far */
    unsigned ngroups, newest;
    struct otlp_batch_group {
        uint64_t resource_hash, scope_hash;
        struct otlp_batch_place {
            size_t at, n; /* in the arena */
        } resource, scope;
        size_t first, last; /* entries */
        size_t size;        /* of the items with their tags and lengths */
        bool written;
    } group[OTLP_BATCH_GROUPS];
    struct otlp_batch_entry {
        struct otlp_batch_place item;
        size_t next;
    } * entries; /* max_items */
    struct buf arena, request, own, item, tracestate;
    struct event *event; /* of our own items, too large for a stack */
};

/* 0 or -ERR_NOMEM. max_bytes bounds the request, but one item is always taken. */
int otlp_batch_init(struct otlp_batch *b, enum otlp_signal signal, size_t max_items,
                    size_t max_bytes);
void otlp_batch_fini(struct otlp_batch *b);

struct otlp_batch_how {
    struct str instance; /* of our own items' sender; empty: not known */
    bool write;          /* `th:threshold` goes into the tracestate of a span */
    uint64_t threshold;
};

/* Copies a record into the batch: 1; 0 when it is full (otlp_batch_end() it and add the
 * record to the next); -ERR_NOTFOUND for what is no item of the signal, as health
 * reports; -ERR_SYNTAX for a record that cannot be read; -ERR_NOMEM. `how` may be NULL. */
int otlp_batch_add(struct otlp_batch *b, const struct ring_view *record,
                   const struct otlp_batch_how *how);

/* The same for a message that is already in parts. */
struct otlp_batch_parts {
    struct str resource, scope, item; /* as of struct otlp_item */
};
int otlp_batch_put(struct otlp_batch *b, const struct otlp_batch_parts *parts);

/* The request, good until the next call, and begins anew: 0, or -ERR_NOMEM, and then the
 * items are still there. *items may be NULL. An empty request has no bytes. */
int otlp_batch_end(struct otlp_batch *b, struct str *request, size_t *items);

/* The bytes of the request that otlp_batch_end() has just given, as the caller's own, to be
 * freed; NULL when it has never had any. */
char *otlp_batch_steal(struct otlp_batch *b);

/* Throws away what was added. */
void otlp_batch_reset(struct otlp_batch *b);

#endif
