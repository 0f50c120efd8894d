/* gate_message: what goes between the daemon and its gate. Floor 4.
 *
 * Both ends are the same program, forked: a message is one datagram, a struct as it lies
 * in memory and `size` bytes behind it, with two descriptors at a CONNECT. The daemon
 * checks what it is told all the same. */
#ifndef MCPTALLY_GATE_GATE_MESSAGE_H
#define MCPTALLY_GATE_GATE_MESSAGE_H

#include "base/buf.h"
#include "base/str.h"
#include "gate/web_config.h"

enum gate_kind {
    GATE_CONFIGURE,  /* number: of the configuration; bytes: of gate_write_tls() */
    GATE_CONFIGURED, /* the same number; bytes: why not, or none */
    GATE_CONNECT,    /* number: enum gate_protocol; descriptors: the client's, and ours */
    GATE_VERIFY,     /* number: of the question; bytes: hash, NUL, password, NUL */
    GATE_VERIFIED,   /* the same number; yes: the password is right */
    GATE_CHANGED,    /* a file that is watched has changed */
    GATE_FAILED,     /* number: handshakes that have failed since it was last said */
    GATE_KINDS
};

enum gate_protocol { GATE_HTTP1, GATE_HTTP2 };

enum {
    GATE_MAGIC = 0x67617465,
    GATE_BYTES = 128 << 10, /* of a message; a web configuration file is smaller */
    GATE_DESCRIPTORS = 2,
};

struct gate_message {
    uint32_t magic, kind;
    uint64_t number;
    uint32_t size;
    bool yes;
};

/* Sends one datagram: 0, -ERR_BUSY (the other end does not keep up), -ERR_CLOSED. It
 * waits only where the socket does. fds may be NULL. */
int gate_send(int fd, const struct gate_message *m, struct str bytes, const int *fds);

/* Receives one, without waiting, with GATE_BYTES of room at `bytes`. 1, 0 (none is there),
 * -ERR_CLOSED, -ERR_SYNTAX. Descriptors that did not come are -1; those that did are the
 * caller's. */
int gate_receive(int fd, struct gate_message *m, char *bytes, int *fds);

/* Writes what the gate has to know of a configuration: how TLS is spoken, and which files
 * to watch. The reader's *t is for web_tls_fini() and *watched to be freed, also after false. */
void gate_write_tls(struct buf *to, const struct web_tls *t, const char *watched);
bool gate_read_tls(struct str from, struct web_tls *t, char **watched);

#endif
