/* grpc_server: the sockets of the OTLP/gRPC port. Floor 4.
 *
 * One read of 64 KiB a turn from each connection that has something; what the
 * peer does not take of our answers stops our reading from it until it does, and
 * ends the connection when that takes too long. At the limit of connections the
 * one gives way that has been idle, or whose message is awaited, longest; those
 * that have had no request applied yet come first. */
#ifndef MCPTALLY_INTAKE_GRPC_SERVER_H
#define MCPTALLY_INTAKE_GRPC_SERVER_H

#include "intake/otlp_intake.h"

struct grpc_server;

/* Serves on a listening socket, which it takes also when it fails. NULL when memory
 * is out. It is the intake's `settled` hook. */
struct grpc_server *grpc_server_new(struct otlp_intake *in, unsigned connections, int listen_fd);

/* Accepts no more, has open calls finished, and calls `done` when every connection is
 * closed: from the loop, or at once. */
void grpc_server_drain(struct grpc_server *s, void (*done)(void *arg), void *arg);

/* Closes everything at once; NULL is allowed. */
void grpc_server_free(struct grpc_server *s);

#endif
