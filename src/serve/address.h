/* address: who is at the other end of a connection, as limits see him. Floor 4. No I/O.
 *
 * An IPv6 network of 64 bits is one client: whoever has one address of it has all of
 * them. IPv4 within IPv6 is IPv4. */
#ifndef MCPTALLY_SERVE_ADDRESS_H
#define MCPTALLY_SERVE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct client_address {
    uint8_t bytes[8]; /* the network of IPv6, or IPv4 behind four zeros */
    bool v6;
};

void client_address_of(struct client_address *a, const struct sockaddr *from);

/* Whether he is on this machine and came by loopback. */
bool client_address_loopback(const struct client_address *a);

static inline bool client_address_eq(const struct client_address *a, const struct client_address *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

#endif
