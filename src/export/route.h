/* route: how a host is reached: its addresses now, and certificates for it. Floor 4. */
#ifndef MCPTALLY_EXPORT_ROUTE_H
#define MCPTALLY_EXPORT_ROUTE_H

#include <netinet/in.h>

#include "export/setup.h"
#include "export/tls.h"
#include "helper/helper.h"

enum { ROUTE_FRESH = 30 }; /* seconds that addresses are believed */

struct route {
    struct setup *setup;
    const struct endpoint *to;
    struct sockaddr_storage address[HELPER_ADDRESSES];
    unsigned n;
    uint64_t found; /* mono ns; 0: there are none */
    bool looking;
    struct helper_call *asked;
    struct tls_waiter certificates;
    struct event *turn;
    void (*done)(void *arg, const char *error); /* NULL: go */
    void *arg;
};

/* `e` must outlive it. 0 or -ERR_NOMEM. */
int route_init(struct route *r, struct setup *s, const struct endpoint *e,
               void (*done)(void *arg, const char *error), void *arg);
void route_fini(struct route *r);

/* `done` is called from the loop, never from inside. Asked again meanwhile: once is enough. */
void route_find(struct route *r);

/* It did not lead there: addresses are asked for again next time. */
void route_lost(struct route *r);

/* Bytes of the address for connect(), in which the port stands. */
int route_size(const struct sockaddr_storage *a);

#endif
