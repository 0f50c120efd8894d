/* http_inside: what the two halves of http share. Floor 4.
 *
 * http_conn.c has the connections, their deadlines and the server's life; http.c the
 * requests and their answers. */
#ifndef MCPTALLY_SERVE_HTTP_INSIDE_H
#define MCPTALLY_SERVE_HTTP_INSIDE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "base/buf.h"
#include "gate/gate.h"
#include "serve/access.h"
#include "serve/http.h"

enum { HTTP_TEXT = 4096, HTTP_MAGIC = 0x68747470 };

enum phase {
    PHASE_HEAD,  /* no whole request head yet */
    PHASE_BODY,  /* its body is being read */
    PHASE_REPLY, /* a request is being answered */
    PHASE_IDLE,  /* the last answer is sent */
    PHASE_MAX
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route; /* NULL: none has its path */
    void *context;                  /* an upload's */
    struct http_body *body;
    unsigned status;
    size_t discarded; /* bytes of the body that came behind the answer */
    bool answered;    /* body and status are there */
    bool waiting;     /* suspended until it is answered */
    bool asking;      /* and until it is known who asks */
    bool begun;       /* it is known, and the request was looked at */
    struct access_wait who;
};

struct connection {
    TAILQ_ENTRY(connection) link; /* in its phase's list, by deadline */
    int fd;
    enum phase phase;
    uint64_t deadline; /* mono ns */
    struct client_address from;
    struct http_exchange x; /* the request in hand */
};

struct http_server {
    unsigned magic;
    struct serve_env env;
    struct http_options o;
    struct MHD_Daemon *mhd;
    struct acceptor *acceptor;
    bool dry;               /* there is no descriptor for another connection */
    struct event *ready;    /* its epoll descriptor */
    struct event *again;    /* when it asks to be run again */
    struct event *deadline; /* of the first connection to be shut down */
    uint64_t armed;         /* what `deadline` is set to, mono ns; 0: nothing */
    unsigned connections;
    unsigned active;            /* requests that have begun and not ended */
    void (*drained)(void *arg); /* set while draining */
    void *drained_arg;
    TAILQ_HEAD(connection_list, connection) phases[PHASE_MAX];
    struct buf text; /* scratch */
};

void http_count_refused(struct http_server *s, enum own_http_reason reason);

/* Sets its deadline, too. */
void http_enter_phase(struct http_server *s, struct connection *c, enum phase phase);

/* Calls who waits for the end of a drain, when it is reached. */
void http_check_drained(struct http_server *s);

/* For libmicrohttpd. */
enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **request);
void http_on_completed(void *arg, struct MHD_Connection *connection, void **request,
                       enum MHD_RequestTerminationCode how);

#endif
