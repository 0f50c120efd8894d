/* tee: what the relay tells the observer, in packets over a socketpair.
 *
 * A packet is a row of notes; a note is a struct tee_head and the bytes that it
 * tells of. The relay queues notes while bytes keep coming, so that telling is
 * never in the way of passing on, and sends them when it has nothing better to
 * do. The observer is not woken for each packet: while there is traffic it looks
 * for them by itself, a few times a second, and is kicked through an eventfd before
 * its socket fills up. Nor does the relay wake itself more often for the notes that
 * it still has: a wakeup of either may move the peers to a processor that sleeps,
 * which costs a message more than the whole relay does.
 *
 * What does not fit is lost, and every later note of that stream says how much
 * has been lost so far. Only in the middle of large messages, which would not be
 * counted otherwise, the sender waits for room: TEE_WAIT_MS at most, a fifth of
 * the time at most, and not again after a wait in vain until a packet has gone
 * out. A small message never waits. */
#ifndef MCPTALLY_CLI_TEE_H
#define MCPTALLY_CLI_TEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum tee_stream { TEE_UP, TEE_DOWN, TEE_STDERR, TEE_STREAMS };

/* Those up to TEE_LOST are of one stream, and say what has been lost of it. */
enum tee_kind {
    TEE_DATA,    /* bytes of a stream follow */
    TEE_EOF,     /* the stream has ended */
    TEE_LOST,    /* nothing but how much has been lost */
    TEE_STARTED, /* value: pid of the server */
    TEE_RESUMED, /* the same, but an observer before this one has been told */
    TEE_EXITED,  /* value: its wait status */
};

struct tee_head {
    struct when when;
    uint64_t lost; /* bytes of this stream that this observer was not told of, so far */
    int32_t value;
    uint32_t size; /* of the bytes that follow */
    uint8_t kind, stream;
    uint8_t line_start; /* the bytes begin at the beginning of a line */
    uint8_t zero[5];
};

enum {
    TEE_NOTES = 32,    /* of one packet at most */
    TEE_CHUNK = 65536, /* bytes of one note at most */
    TEE_PACKET = TEE_CHUNK + TEE_NOTES * (int)sizeof(struct tee_head),
    TEE_BIG = 8192,     /* queued bytes that are sent at once */
    TEE_WAIT_MS = 20,   /* that is ever waited for room */
    TEE_WAIT_SHARE = 5, /* of so many nanoseconds one may be waited */
    TEE_LATE_MS = 50,   /* that a note may wait for a lull */
    TEE_KICK_BYTES = 131072,
    TEE_KICK_PACKETS = 32,
};

/* The sending end. */
struct tee {
    int fd, kick; /* -1: no observer */
    unsigned notes, bytes;
    unsigned queued[TEE_STREAMS]; /* notes that point to a stream's bytes */
    struct tee_head head[TEE_NOTES];
    const char *data[TEE_NOTES];
    unsigned sent_bytes, sent_packets; /* since the last kick */
    uint64_t credit, credit_at;        /* ns that may be waited, as of then */
    bool in_vain;                      /* the last wait was */
    uint64_t lost[TEE_STREAMS];
    bool mid_line[TEE_STREAMS];
    bool eof_lost[TEE_STREAMS]; /* the note of its end was */
};

/* Makes both ends, to be parted by fork(): the receiver takes *socket and the
 * same t->kick. 0, or -1 with errno. */
int tee_open(struct tee *t, int *socket);
void tee_close(struct tee *t);

/* Queues a note. The bytes must stay where they are until they are sent. */
void tee_data(struct tee *t, enum tee_stream s, const char *p, size_t n, struct when now);
void tee_tell(struct tee *t, enum tee_kind kind, enum tee_stream s, int32_t value, struct when now);

/* Sends what is queued, or loses it. */
void tee_flush(struct tee *t);

/* Ends the conversation with the observer: tells it the server's end, and waits
 * at most timeout_ms until it has reported. */
void tee_finish(struct tee *t, int32_t status, struct when now, int timeout_ms);

#endif
