/* reach: the addresses of a host, by the helper when it is a name. Floor 4. */
#ifndef MCPTALLY_PROBE_REACH_H
#define MCPTALLY_PROBE_REACH_H

#include "probe/run.h"

struct reach {
    struct probe *p;
    struct sockaddr_storage address[HELPER_ADDRESSES];
    unsigned n, at;
    struct helper_call *asked;
    void (*done)(struct probe *p); /* there is at least one; at once, or later */
};

/* Ends the run when there is none. */
void reach_find(struct reach *r, struct probe *p, const char *host, uint16_t port,
                void (*done)(struct probe *p));
void reach_stop(struct reach *r);

socklen_t reach_size(const struct sockaddr_storage *a);

/* The address in words. */
enum { REACH_TEXT = 64 };
const char *reach_text(const struct sockaddr_storage *a, char to[REACH_TEXT]);

#endif
