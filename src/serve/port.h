/* port: a server at a configured address that may be taken. Floor 4.
 *
 * A port that another process has does not end the daemon: port_error() says
 * why for the health page, and it is tried again every 5 s. */
#ifndef MCPTALLY_SERVE_PORT_H
#define MCPTALLY_SERVE_PORT_H

#include "serve/http.h"

struct port;

/* Another server than HTTP's. */
struct port_kind {
    void *(*serve)(void *arg, int listen_fd); /* takes the socket also when it fails: NULL */
    void (*free)(void *server);               /* NULL is allowed */
};

struct port_options {
    const char *name;             /* "metrics": for log lines and the status */
    const char *key;              /* the configuration key that changes the address */
    const char *address;          /* as listen_tcp() takes it, or "off"; borrowed */
    const char *suggest;          /* an address to suggest when it is taken */
    int passed_fd;                /* a listener from systemd, which it takes; -1: none */
    const struct port_kind *kind; /* NULL: HTTP */
    void *arg;                    /* for its serve() */
    struct http_options http;
};

/* NULL when memory is out; an address that cannot be had is not a failure. */
struct port *port_new(const struct serve_env *env, const struct port_options *o);
void port_free(struct port *p);

/* Its server (of its kind, else a struct http_server); NULL while it does not listen. */
void *port_server(const struct port *p);

/* Tries no more for an address. */
void port_give_up(struct port *p);

/* Where it listens ("127.0.0.1:9090"); empty while it does not. */
const char *port_address(const struct port *p);

/* Why it does not listen, a sentence; NULL when it does or is off. */
const char *port_error(const struct port *p);

#endif
