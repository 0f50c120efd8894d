#include "serve/address.h"

#include <netinet/in.h>

static void set_v4(struct client_address *a, const void *four)
{
    memcpy(a->bytes + 4, four, 4);
}

void client_address_of(struct client_address *a, const struct sockaddr *from)
{
    memset(a, 0, sizeof *a);
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        set_v4(a, &in.sin_addr);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, from, sizeof in);
        a->v6 = !IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
        if (a->v6)
            memcpy(a->bytes, in.sin6_addr.s6_addr, sizeof a->bytes);
        else
            set_v4(a, in.sin6_addr.s6_addr + 12);
    }
}

bool client_address_loopback(const struct client_address *a)
{
    static const uint8_t none[sizeof a->bytes]; /* the network of ::1 */
    return a->v6 ? memcmp(a->bytes, none, sizeof none) == 0 : a->bytes[4] == 127;
}
