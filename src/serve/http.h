/* http: a small HTTP server on one port, in our loop. Floor 4.
 *
 * libmicrohttpd without a thread: its epoll descriptor is an event of the loop,
 * and one timer is armed when it asks for one. GET and HEAD, and POST on a route
 * that takes bodies; no query. Each port has a daemon, and so a limit, of its own,
 * so that slow readers of one cannot starve another.
 *
 * A connection is in one of four phases, each with an absolute deadline after
 * which its socket is shut down; one byte a second buys nothing:
 *   HEAD   the request's head is expected
 *   BODY   the body that a route takes is being read
 *   REPLY  the answer is made or sent
 *   IDLE   kept alive between two requests
 * When the last place is taken, the oldest idle connection makes room, else the
 * one whose head, else the one whose body, is awaited longest, else one that takes
 * long to read its answer: who only holds a place cannot keep others out.
 *
 * A guard says who may ask, how often, and whether it is TLS that is spoken: then the
 * gate has the connection, and we one end of a socket pair. Every answer has the headers
 * that keep browsers from doing with it what nobody asked for. */
#ifndef MCPTALLY_SERVE_HTTP_H
#define MCPTALLY_SERVE_HTTP_H

#include "base/str.h"
#include "serve/env.h"

struct access;
struct gate;
struct throttle;

struct http_server;
struct http_exchange; /* a request that is being answered */

/* Answers now with http_answer(), or returns and answers later: the exchange is
 * good until it is answered. Every exchange must be. */
typedef void http_handler(void *arg, struct http_exchange *x);

/* How a route takes the body of a POST, piece by piece. An answer that is given before
 * the end is sent at the end, and what still comes is thrown away: a peer that writes
 * would not read it, and lose it when we close. */
struct http_upload {
    http_handler *begin; /* the head is there; sets the context, or answers */
    void (*data)(void *arg, struct http_exchange *x, struct str bytes);
    http_handler *end;  /* all of it is there: answers now or later */
    http_handler *gone; /* the peer is, before an answer was given; x is dead behind it */
};

struct http_route {
    const char *path;
    http_handler *handler;
    const char *about;                /* one line for the index page; NULL leaves it out there */
    const struct http_upload *upload; /* POST, in place of the handler; NULL: GET and HEAD */
};

/* Changes between two callbacks if need be. */
struct http_guard {
    struct gate *gate;         /* NULL: plain */
    struct access *access;     /* NULL: everybody may */
    bool authenticate;         /* whoever asks has to say who he is */
    bool limited;              /* and is under the configuration's rate limit */
    struct throttle *throttle; /* NULL: as often as he likes */
};

struct http_options {
    const char *title; /* of the index page at / */
    unsigned own_port; /* index in mcptally_http_requests */
    unsigned connections;
    const struct http_route *routes;
    size_t nroutes;
    void *arg;               /* for the handlers */
    void (*full)(void *arg); /* a connection has been made to give way; may be NULL */
    uint64_t head_ns, body_ns, reply_ns, idle_ns; /* the phases' deadlines; 0: 2, 10, 30, 75 s */
    uint64_t patience_ns;           /* of an answer until it gives way to a newcomer; 0: 10 s */
    const struct http_guard *guard; /* borrowed; NULL: none */
};

/* Serves on a listening socket, which it takes also when it fails. NULL when
 * memory or descriptors are out. The options' tables are borrowed. */
struct http_server *http_server_new(const struct serve_env *env, const struct http_options *o,
                                    int listen_fd);

/* Closes everything. No exchange may be waiting for its answer. */
void http_server_free(struct http_server *s);

/* Accepts no more, and calls `done` when every request that has begun is answered:
 * from the loop, or at once. */
void http_server_drain(struct http_server *s, void (*done)(void *arg), void *arg);

unsigned http_server_connections(const struct http_server *s); /* open ones */

/* What an upload keeps with its exchange. */
void http_set_context(struct http_exchange *x, void *context);
void *http_context(const struct http_exchange *x);

const char *http_path(const struct http_exchange *x); /* of its route */

/* The first header of that name, or NULL. */
const char *http_header(const struct http_exchange *x, const char *name);

/* What is answered with; several exchanges may share one. It holds `bytes` until
 * the last hold on it is dropped and the last copy of it is sent, and then calls
 * `release`; with no release the bytes are copied. NULL when memory is out. */
struct http_body;
struct http_body *http_body_new(const char *type, struct str bytes, void (*release)(void *arg),
                                void *arg);
void http_body_add_header(struct http_body *b, const char *name, const char *value);
void http_body_drop(struct http_body *b); /* the maker's hold; NULL is allowed */

/* Answers an exchange; a NULL body closes the connection. */
void http_answer_body(struct http_exchange *x, unsigned status, struct http_body *b);

/* Answers with a short text, which is copied. */
void http_answer(struct http_exchange *x, unsigned status, const char *type, struct str text);

#endif
