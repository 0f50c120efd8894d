/* gate: the process that speaks TLS and checks passwords. Floor 4.
 *
 * A handshake takes a millisecond with one kind of key and six with another, a password
 * sixty: neither belongs on the loop, nor in the helper, whose spools would wait. So a
 * process of its own does both. The loop accepts a connection and hands it over; it keeps
 * one end of a socket pair, at which the gate says in plain what the client says in TLS.
 * Every deadline and limit of the plain connection holds for the client, too: when it is
 * closed, so is his. What TLS libraries do wrong with the bytes of strangers befalls a process
 * that has no store. While it runs the daemon does not hold a key that lies in a file of its
 * own: it reads it once, before it starts, to see whether it is good. A key that stands in the
 * web configuration itself passes through the helper, and stays with the daemon, which would tell
 * it to a new gate.
 *
 * It also watches the files of its configuration. When it dies it is forked again;
 * connections that went through it end, and questions that were open are lost. Callbacks
 * come from the loop. */
#ifndef MCPTALLY_GATE_GATE_H
#define MCPTALLY_GATE_GATE_H

#include <event2/event.h>

#include "gate/gate_message.h"

struct gate;

struct gate_hooks {
    /* Has a process forked that runs gate_child() with `fd`: 0 or an error. */
    int (*fork)(void *arg, int fd);
    /* What became of a configuration; error NULL: it is in force. An error may also come of
     * the one in force: its files are not what they were, and a new gate cannot use them. */
    void (*configured)(void *arg, uint64_t number, const char *error);
    void (*verified)(void *arg, uint64_t question, bool right);
    void (*lost)(void *arg);    /* every question that was open will stay so */
    void (*changed)(void *arg); /* a file is not what it was */
    void (*failed)(void *arg, uint64_t handshakes);
    void *arg;
};

/* Has it forked. NULL when memory or descriptors are out. */
struct gate *gate_new(struct event_base *base, const struct gate_hooks *h);
void gate_free(struct gate *g);

/* Takes another configuration into use, if it is good; `watched` is the file it comes from.
 * hooks.configured() tells, unless another one overtakes it. False: it is too large. */
bool gate_configure(struct gate *g, uint64_t number, const struct web_tls *t, const char *watched);

/* Hands a client over, who begins with a handshake, and takes it. A descriptor on which he
 * is plain, or -ERR_FULL, -ERR_BUSY, -ERR_CLOSED: then the client is closed. */
int gate_connect(struct gate *g, int client, enum gate_protocol protocol);

/* Asks whether a password has that hash. False: it cannot be asked now. */
bool gate_verify(struct gate *g, uint64_t question, const char *hash, struct str password);

#endif
