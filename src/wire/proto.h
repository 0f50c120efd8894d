/* proto: the numbers of the wire. Floor 1. man/mcptally-protocol.7 is the authority.
 *
 * A frame is an 8-byte header (u32 payload size, u8 type, u8 flags, u16 stream;
 * little-endian) and a payload of at most LIMIT_FRAME bytes. */
#ifndef MCPTALLY_WIRE_PROTO_H
#define MCPTALLY_WIRE_PROTO_H

#include <stdint.h>

#include "model/drop.h"

enum { PROTO_VERSION = 1, PROTO_HEADER = 8, PROTO_UPDATE = 12, PROTO_BATCH = 16 };

/* X(SYMBOL, number, "word", sequenced, "what it is") */
#define FRAME_TABLE(X)                                                                             \
    X(HELLO, 1, "hello", 0, "producer: who I am and where I stand; the first frame")               \
    X(WELCOME, 2, "welcome", 0, "daemon: who I am and what I have of you")                         \
    X(DEFINE_METRIC, 3, "define_metric", 0, "producer: an id for a metric")                        \
    X(DEFINE_SERIES, 4, "define_series", 0, "producer: an id for a metric's label set")            \
    X(UPDATE, 5, "update", 1, "producer: series ids and values, 12 bytes each")                    \
    X(SPAN, 6, "span", 1, "producer: spans")                                                       \
    X(EVENT, 7, "event", 1, "producer: named events with measurements and metadata")               \
    X(LOG, 8, "log", 1, "producer: log records")                                                   \
    X(HEALTH, 9, "health", 1, "producer: health reports of named components")                      \
    X(ACK, 10, "ack", 0, "daemon: everything up to this sequence number is applied")               \
    X(REJECT, 11, "reject", 0, "daemon: what was not taken, and why")                              \
    X(LOST, 12, "lost", 0, "producer: running totals of what it had to drop itself")               \
    X(BYE, 13, "bye", 0, "producer: this session will not come back")                              \
    X(RING, 14, "ring", 0, "producer: a ring in shared memory, its descriptor with it")            \
    X(RING_READY, 15, "ring_ready", 0, "daemon: the ring is read, or why it is not")               \
    X(BELL, 16, "bell", 0, "producer: look at my rings; daemon: they were read to their ends")

enum frame_type {
#define X(sym, num, word, seq, help) FRAME_##sym = num,
    FRAME_TABLE(X)
#undef X
};

/* Reasons of a REJECT that concern a frame, not an item; items use enum
 * drop_reason. Closing ones end the connection after the REJECT is written.
 * X(SYMBOL, number, "word", closes, "meaning") */
#define REJECT_TABLE(X)                                                                            \
    X(HEADER, 256, "bad_header", 1, "the frame header has flags or a stream that are not defined") \
    X(TOO_LARGE, 257, "frame_too_large", 1, "the payload is larger than 65536 bytes")              \
    X(TYPE, 258, "unknown_type", 1, "the frame type is not defined or not the producer's")         \
    X(HELLO, 259, "hello_expected", 1, "the first frame was not HELLO, or HELLO came twice")       \
    X(VERSION, 260, "bad_version", 1, "no common protocol version")                                \
    X(OWNER, 261, "session_owner", 1, "the session id belongs to another user or connection")      \
    X(GAP, 262, "sequence_gap", 1, "a sequence number is missing before this frame")               \
    X(BAD_CONTROL, 263, "malformed_control", 1,                                                    \
      "HELLO, LOST, BYE or a batch header cannot be read")                                         \
    X(REFUSED, 264, "refused", 1, "a connection or session budget is used up")                     \
    X(SLOW_FRAME, 265, "slow_frame", 1,                                                            \
      "hello, or the rest of a frame, did not come within its deadline")                           \
    X(DOMAIN, 266, "domain_refused", 1,                                                            \
      "the failure domain is refused for now: come back after `first` milliseconds")               \
    X(RING, 267, "bad_ring", 0,                                                                    \
      "the memory of a ring is not sealed, not what was said, or "                                 \
      "what lies there is no record")                                                              \
    X(NOT_ALLOWED, 268, "not_allowed", 1, "the user, group or executable may not connect")

enum reject_reason {
#define X(sym, num, word, closes, help) REJECT_##sym = num,
    REJECT_TABLE(X)
#undef X
        REJECT_END
};

/* HELLO capabilities. */
enum { HELLO_WANTS_ACK = 1, HELLO_WANTS_RINGS = 2 };

/* WELCOME: what the daemon knew of the session. */
enum session_known {
    SESSION_NEW = 0,     /* begin with the first unacknowledged item */
    SESSION_KNOWN = 1,   /* leave out what `applied` covers */
    SESSION_EXPIRED = 2, /* same store, forgotten session: do not send again, count as expired */
};

/* LOST: why a producer dropped items. X(SYMBOL, "word", "meaning") */
#define LOST_TABLE(X)                                                                              \
    X(BUFFER, "buffer_full", "the thread's buffer was full")                                       \
    X(QUEUE, "queue_full", "the queue of unacknowledged items was full")                           \
    X(EXPIRED, "expired", "the daemon had forgotten the session")                                  \
    X(INVALID, "invalid", "the caller's item was malformed or too large")

enum lost_reason {
#define X(sym, word, help) LOST_##sym,
    LOST_TABLE(X)
#undef X
        LOST_MAX
};

const char *frame_type_name(unsigned type); /* "hello" ...; "unknown" */
const char *reject_name(unsigned reason);   /* drop and reject reasons alike; "unknown" */
int reject_closes(unsigned reason);         /* 1 when the connection ends with it */
const char *lost_name(unsigned reason);     /* "buffer_full" ...; "unknown" */

#endif
