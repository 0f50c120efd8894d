/* http: a small HTTP server on one port, in our loop. Floor 4.
 *
 * libmicrohttpd without a thread: its epoll descriptor is an event of the loop,
 * and one timer is armed when it asks for one. GET and HEAD only, no bodies, no
 * query. Each port has a daemon, and so a limit, of its own, so that slow
 * readers of one cannot starve another.
 *
 * A connection is in one of three phases, each with an absolute deadline after
 * which its socket is shut down; one byte a second buys nothing:
 *   HEAD   the request's head is expected
 *   REPLY  the answer is made or sent
 *   IDLE   kept alive between two requests
 * When the last place is taken, the oldest idle connection, else the one that
 * has been silent longest, makes room. */
#ifndef MCPTALLY_SERVE_HTTP_H
#define MCPTALLY_SERVE_HTTP_H

#include "base/str.h"
#include "serve/env.h"

struct http_server;
struct http_exchange; /* a request that is being answered */

/* Answers now with http_answer(), or returns and answers later: the exchange is
 * good until it is answered. Every exchange must be. */
typedef void http_handler(void *arg, struct http_exchange *x);

struct http_route {
    const char *path;
    http_handler *handler;
    const char *about; /* one line for the index page; NULL leaves it out there */
};

struct http_options {
    const char *title; /* of the index page at / */
    unsigned own_port; /* index in mcptally_http_requests */
    unsigned connections;
    const struct http_route *routes;
    size_t nroutes;
    void *arg;                           /* for the handlers */
    uint64_t head_ns, reply_ns, idle_ns; /* the phases' deadlines; 0: 2 s, 30 s, 75 s */
};

/* Serves on a listening socket, which it takes also when it fails. NULL when
 * memory or descriptors are out. The options' tables are borrowed. */
struct http_server *http_server_new(const struct serve_env *env, const struct http_options *o,
                                    int listen_fd);

/* Closes everything. No exchange may be waiting for its answer. */
void http_server_free(struct http_server *s);

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
