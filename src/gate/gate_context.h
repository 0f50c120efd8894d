/* gate_context: an OpenSSL context for our ports, made of a configuration. Floor 4.
 *
 * Reads files and takes milliseconds: in the gate, or where nothing is served yet. */
#ifndef MCPTALLY_GATE_GATE_CONTEXT_H
#define MCPTALLY_GATE_GATE_CONTEXT_H

#include <openssl/ssl.h>

#include "gate/gate_message.h"

enum { GATE_WHY = 512 };

/* Handshakes look at the configuration: it lives as long as the last of them. */
struct gate_context {
    SSL_CTX *ctx;
    struct web_tls tls;
    unsigned holds;
};

/* With one hold. Takes what *t has, also when it fails: NULL, and `why` says which file or
 * key is to blame. */
struct gate_context *gate_context_new(struct web_tls *t, char why[GATE_WHY]);

/* What ALPN calls a protocol: its length and its name. A session's app data is that. */
const unsigned char *gate_protocol_name(enum gate_protocol p);

struct gate_context *gate_context_hold(struct gate_context *c);
void gate_context_drop(struct gate_context *c); /* NULL is allowed */

#endif
