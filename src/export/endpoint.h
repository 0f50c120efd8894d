/* endpoint: a collector's URL in its parts. Floor 4. No I/O. */
#ifndef MCPTALLY_EXPORT_ENDPOINT_H
#define MCPTALLY_EXPORT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENDPOINT_HOST = 253, ENDPOINT_PATH = 2048 };

struct endpoint {
    bool tls;
    bool literal;                      /* the host is an address */
    char host[ENDPOINT_HOST + 1];      /* without brackets */
    char authority[ENDPOINT_HOST + 9]; /* host:port, an IPv6 address in brackets */
    char path[ENDPOINT_PATH + 1];      /* with the query; "/" if there is none */
    uint16_t port;
};

/* Reads a URL: http, https, or without a scheme with `tls` saying which. 0, or
 * -ERR_SYNTAX with a line in `why`, which never quotes what may be a password. `port` stands
 * for one that is not given; 0: the scheme's. */
int endpoint_read(struct endpoint *e, const char *url, bool tls, uint16_t port, char *why,
                  size_t why_size);

/* Whether the same connection reaches both. */
bool endpoint_same(const struct endpoint *a, const struct endpoint *b);

#endif
