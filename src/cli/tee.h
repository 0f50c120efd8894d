/* tee: what the relay tells the observer, in a ring of notes in memory that both share. No
 * packet is sent and nobody woken to tell of a message: that would cost a conversation more
 * than passing the message on.
 *
 * A note is a struct tee_head and the bytes that it tells of. The observer says from which
 * position on it wants to be kicked: with the next note after a silence, and then, while it
 * looks by itself a few times a second, before the ring is full. A socket says that there is
 * room again, and that the other process is gone. A ring that has been read
 * to its end begins again at the front of its memory, so that a slow conversation touches few
 * pages of it.
 *
 * A sender that finds no room waits for it: TEE_WAIT_MS at most, a fifth of the time at most,
 * and not again after a wait in vain until a note has found room. On a processor that all of
 * them share, nothing else may let the observer run. What still does not fit is lost, and every
 * later note of that stream says how much has been lost so far. */
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
    TEE_SKIP,    /* nothing up to the ring's end; no reader sees it */
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
    TEE_CHUNK = 65536,  /* bytes of one note at most */
    TEE_RING = 524288,  /* bytes of the ring */
    TEE_MANY = 131072,  /* bytes that gather at most until somebody is kicked for them */
    TEE_WAIT_MS = 20,   /* that is ever waited for room */
    TEE_WAIT_SHARE = 5, /* of so many nanoseconds one may be waited */
};

struct tee_shared;

/* The sending end. */
struct tee {
    struct tee_shared *shared;
    int fd, kick;               /* the socket, an eventfd; -1: no observer */
    uint64_t tail;              /* where the next note goes */
    uint64_t base;              /* the position at the ring's front, or whole rings before it */
    uint64_t credit, credit_at; /* ns that may be waited, as of then */
    bool in_vain;               /* the last wait was */
    uint64_t lost[TEE_STREAMS];
    bool mid_line[TEE_STREAMS];
    bool eof_lost[TEE_STREAMS]; /* the note of its end was */
};

/* The receiving end. */
struct tee_reader {
    struct tee_shared *shared;
    int fd, kick;
    uint64_t head;  /* read up to here */
    uint64_t next;  /* behind the note handed out last */
    uint64_t known; /* there are notes up to here */
    size_t ready;   /* bytes of the ring's memory that are there already */
    bool over;      /* the sender has ended or is gone; what it told is all there */
};

/* Makes both ends, to be parted by fork(). 0, or -1 with errno. */
int tee_open(struct tee *t, struct tee_reader *reader);
void tee_close(struct tee *t);

/* Tells of n > 0 bytes, TEE_CHUNK at most, or loses them. */
void tee_data(struct tee *t, enum tee_stream s, const char *p, size_t n, struct when now);
void tee_tell(struct tee *t, enum tee_kind kind, enum tee_stream s, int32_t value, struct when now);

/* Ends the conversation with the observer: tells it the server's end, and waits
 * at most timeout_ms until it has reported. */
void tee_finish(struct tee *t, int32_t status, struct when now, int timeout_ms);

/* Has the ring's first bytes in memory, so that the relay need not wait for new pages. */
void tee_ready(struct tee_reader *r, size_t bytes);

/* Before the reader sleeps: it is kicked once there are more than `unread` bytes to read.
 * False when there are already. */
bool tee_arm(struct tee_reader *r, unsigned unread);

/* fd or kick is readable. Whether it was kicked; the end is a kick, too. */
bool tee_kicked(struct tee_reader *r);

/* Learns how far the notes have come, for tee_next(). Whether there are any. */
bool tee_look(struct tee_reader *r);

/* The next note, or NULL; its bytes lie behind it. It stays until the call after this. */
const struct tee_head *tee_next(struct tee_reader *r);

void tee_reader_close(struct tee_reader *r);

#endif
