/* throttle: so many requests a minute and client address. Floor 4. No I/O.
 *
 * The rate is that of a sliding minute: the minute in hand, and of the one before as
 * much as still lies within sixty seconds. The table is bounded. An address is forgotten
 * only when it has been silent for so long that forgetting gives it nothing; who finds no
 * place shares one with all such others. So a client with many addresses can push nobody
 * out, himself included. Where an address lies depends on a secret. */
#ifndef MCPTALLY_SERVE_THROTTLE_H
#define MCPTALLY_SERVE_THROTTLE_H

#include "serve/address.h"

enum {
    THROTTLE_PLACES = 4096, /* addresses; 64 bytes each at most */
    THROTTLE_PROBES = 16,   /* places that an address may lie in */
};

struct throttle;

/* `limit` requests a minute, 0: any number. NULL when memory is out, or no secret was to
 * be had. */
struct throttle *throttle_new(unsigned limit);
void throttle_free(struct throttle *t);

void throttle_set_limit(struct throttle *t, unsigned limit);

/* Counts a request at `now` (ns, monotonic). 0: it is welcome; else the seconds until
 * another will be. One that is refused does not count. */
unsigned throttle_ask(struct throttle *t, const struct client_address *from, uint64_t now);

#endif
