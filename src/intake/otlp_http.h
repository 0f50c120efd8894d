/* otlp_http: the OTLP/HTTP port: what it answers on which path. Floor 4.
 *
 * It is the routes of an HTTP server (serve/http.h); the server owns sockets,
 * deadlines and keep-alive. A message goes through the intake that it shares with
 * the gRPC port. */
#ifndef MCPTALLY_INTAKE_OTLP_HTTP_H
#define MCPTALLY_INTAKE_OTLP_HTTP_H

#include "intake/otlp_intake.h"
#include "serve/http.h"

struct otlp_http_call; /* a request whose message is gathered or applied */
TAILQ_HEAD(otlp_http_calls, otlp_http_call);

struct otlp_http {
    struct otlp_intake *in;
    struct otlp_http_calls calls;
    struct buf scratch;
};

/* For the server's options, with the struct as their argument. */
extern const struct http_route otlp_http_routes[];
extern const size_t otlp_http_nroutes;

void otlp_http_init(struct otlp_http *h, struct otlp_intake *in);

/* Answers everything that waits, so that the server can be freed. */
void otlp_http_stop(struct otlp_http *h);

void otlp_http_fini(struct otlp_http *h);

#endif
