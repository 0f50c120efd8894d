/* gate_child: the life of the gate process. Floor 4.
 *
 * One loop that moves bytes between TLS and the daemon's plain sockets, one thread that
 * checks passwords, and a look at the watched files every second. Where it may it runs
 * at a lower priority than the daemon, so that a flood of handshakes or passwords costs those who
 * ask for more of them and nobody else. */
#ifndef MCPTALLY_GATE_GATE_CHILD_H
#define MCPTALLY_GATE_GATE_CHILD_H

#include "gate/gate_message.h"

_Noreturn void gate_child(int fd);

/* ---- gate_pump.c: connections ---- */

struct event_base;
struct gate_context;
struct pumps;

/* NULL when memory is out. */
struct pumps *pumps_new(struct event_base *base);

/* Speaks TLS with `client` and moves what it says to `plain`, and back. Takes both, and a
 * hold of its own on the context. */
void pumps_add(struct pumps *p, struct gate_context *context, enum gate_protocol protocol,
               int client, int plain);

/* Handshakes that failed since this was asked last. */
uint64_t pumps_failed(struct pumps *p);

/* ---- gate_verify.c: passwords ---- */

struct verifier;

/* Answers to `fd`; NULL when there is no thread to be had. */
struct verifier *verifier_new(int fd);

/* Copies. Beyond its queue's bound the answer is no. */
void verifier_ask(struct verifier *v, uint64_t number, const char *hash, const char *password);

#endif
