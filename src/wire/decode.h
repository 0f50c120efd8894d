/* decode: the trust line. Payload bytes in, checked values out. Floor 1.
 *
 * Every function returns 0, or the negative of an enum err that drop_of_error()
 * turns into the reason counted. Nothing it hands out points outside the
 * payload; lengths, UTF-8, names, finite numbers and ids are checked. Trailing
 * bytes are an error (-ERR_SYNTAX): exact length or drop. */
#ifndef MCPTALLY_WIRE_DECODE_H
#define MCPTALLY_WIRE_DECODE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"
#include "model/drop.h"
#include "model/event.h"
#include "model/metric.h"
#include "wire/proto.h"

struct hello {
    uint32_t version;
    uint32_t capabilities;
    uint8_t session[16];
    uint64_t store_id; /* of the last WELCOME, 0 for none */
    uint64_t first;    /* lowest sequence number that is unacknowledged; = next when none is */
    uint64_t next;     /* lowest sequence number that was never sent; at least 1 */
    struct str service, instance, domain, agent; /* agent: "libmcptally/1.0" and the like */
};

struct welcome {
    uint32_t version;
    uint32_t known; /* enum session_known */
    uint64_t store_id;
    uint64_t applied;   /* highest applied sequence number of stream 0 */
    uint32_t max_frame; /* payload bytes */
    uint32_t max_ids;   /* ids of a connection, metrics and series each, lie below this */
    uint32_t max_rings; /* rings of a session; 0: none, or HELLO did not ask */
};

struct reject {
    uint64_t first;  /* lowest sequence number that was not taken for this reason */
    uint32_t count;  /* items of the frame that were not, adjacent or not; 0: it had none */
    uint32_t id;     /* of a DEFINE, else 0 */
    uint16_t reason; /* enum drop_reason or enum reject_reason */
    uint8_t type;    /* of the frame */
    struct str detail;
};

struct label {
    struct str key, value;
};

struct series_def {
    uint32_t id, metric_id;
    unsigned nlabels;
    struct label labels[LIMIT_LABELS];
};

/* The beginning of every sequenced frame, and where its items lie. */
struct batch {
    uint64_t first;
    uint32_t count; /* at least 1 */
    const uint8_t *items;
    size_t size;
};

struct ring_offer {
    uint32_t stream;   /* 1 to UINT16_MAX, the producer's choice */
    uint32_t words;    /* a power of two; 0: the ring has come to its end */
    uint64_t position; /* everything before it is not for the daemon */
};

struct ring_ready {
    uint32_t stream;
    uint32_t reason;   /* 0; else a reject reason: the ring is not read */
    uint64_t position; /* everything before it was applied, or dropped */
    uint64_t items;    /* of it, how many items */
    uint32_t slot;     /* offset in the memory whose descriptor comes along, bytes */
};

struct lost {
    uint64_t total[LOST_MAX]; /* since the session began */
};

int decode_hello(const uint8_t *p, size_t n, struct hello *out);
int decode_welcome(const uint8_t *p, size_t n, struct welcome *out);
int decode_metric(const uint8_t *p, size_t n, uint32_t *id, struct metric_def *out);
int decode_series(const uint8_t *p, size_t n, struct series_def *out);
int decode_ack(const uint8_t *p, size_t n, uint64_t *applied);
int decode_reject(const uint8_t *p, size_t n, struct reject *out);
int decode_lost(const uint8_t *p, size_t n, struct lost *out);
int decode_ring(const uint8_t *p, size_t n, struct ring_offer *out);
int decode_ring_ready(const uint8_t *p, size_t n, struct ring_ready *out);
int decode_bell(const uint8_t *p, size_t n, uint64_t *token);
int decode_bye(const uint8_t *p, size_t n);

/* Reads the batch header. For FRAME_UPDATE the items are exactly count records
 * of PROTO_UPDATE bytes, else -ERR_SYNTAX. `out->first` and `out->count` are
 * valid even on -ERR_SYNTAX from there on (so that the range can be consumed);
 * -ERR_SHORT means that not even they could be read. first is at least 1. */
int decode_batch(unsigned type, const uint8_t *p, size_t n, struct batch *out);

/* The header alone, of PROTO_BATCH bytes that are there; where the items lie is not said. */
int decode_batch_head(const uint8_t *p, struct batch *out);

/* Reads the next item of a SPAN, EVENT, LOG or HEALTH batch: a u32 size and
 * that many bytes. *p and *n advance past it even when the item is bad, as long
 * as its size could be read; -ERR_SHORT says that the rest of the batch is
 * unreadable. */
int decode_item(enum event_kind kind, const uint8_t **p, size_t *n, struct event *out);

/* Reads one item's bytes (without the size), as the store's rings keep them. */
int decode_body(enum event_kind kind, const uint8_t *p, size_t n, struct event *out);

/* One UPDATE record; i is below the batch's count. */
static inline uint32_t update_id(const struct batch *b, size_t i)
{
    return get_u32(b->items + i * PROTO_UPDATE);
}

static inline uint64_t update_value(const struct batch *b, size_t i)
{
    return get_u64(b->items + i * PROTO_UPDATE + 4);
}

enum drop_reason drop_of_error(int err);

#endif
