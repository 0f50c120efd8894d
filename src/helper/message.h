/* message: what goes over the socket between the daemon and its helper. Floor 4.
 *
 * Both ends are the same program, forked: a message is a struct as it lies in memory,
 * and `size` bytes behind it. The daemon checks what it is told all the same, for the
 * helper reads what others have written. */
#ifndef MCPTALLY_HELPER_MESSAGE_H
#define MCPTALLY_HELPER_MESSAGE_H

#include "helper/helper.h"

enum { HELPER_RUN_KEPT = 4096 }; /* bytes of what a command wrote that are handed on */

/* X(SYMBOL, most bytes behind a question, most bytes behind an answer) */
#define MESSAGE_TABLE(X)                                                                           \
    X(HELLO, 0, 0) /* the helper's first; seq: its pid */                                          \
    X(RESOLVE, 256, HELPER_ADDRESSES * sizeof(struct sockaddr_storage))                            \
    X(FILE, 4096, HELPER_FILE)                                                                     \
    X(OPEN, 0, 0)                                                                                  \
    X(APPEND, HELPER_PAYLOAD, 0)                                                                   \
    X(READ, 0, HELPER_PAYLOAD)                                                                     \
    X(FINISH, 0, 0)                                                                                \
    X(DISK, 0, 0) /* seq: bytes that there are for us, written: that are left */                   \
    X(RUN, HELPER_RUN_BYTES, HELPER_RUN_KEPT)                                                      \
    X(LINES_OPEN, 4096, HELPER_TAIL)                                                               \
    X(LINES_ADD, HELPER_LINES, 0)

enum message_kind {
#define X(sym, question, answer) MESSAGE_##sym,
    MESSAGE_TABLE(X)
#undef X
        MESSAGE_MAX
};

enum { MESSAGE_MAGIC = 0x6d637068, MESSAGE_NAME = 72 };

/* A command: its arguments and then its variables lie behind the question. */
struct message_run {
    uint64_t timeout; /* ns */
    uint32_t argv;    /* bytes of the arguments */
    uint32_t cpu, output;
    uint8_t mcp, era;
    uint8_t exited, asked; /* of an answer; see struct helper_ran */
    int32_t status;
};

struct message {
    uint32_t magic;
    uint32_t kind;
    uint64_t id; /* of the call; 0: nobody waits for the answer */
    uint32_t size;
    int32_t error; /* 0 or -enum err; of an answer */
    char name[MESSAGE_NAME];
    uint64_t seq;
    uint64_t written;
    uint32_t items;
    uint16_t port;
    uint8_t signal;
    struct spool_options options;
    struct spool_stats stats;
    struct message_run run;
};

/* Whether the head of a question, or of an answer, can be one. */
bool message_question(const struct message *m);
bool message_answer(const struct message *m);

/* Whether a spool may have that name: it becomes a directory. */
bool message_name(const char *name);

#endif
