/* tls: the certificates of one destination, and sessions made of them. Floor 4.
 *
 * The files are read by the helper; parsing a bundle of CAs takes 27 ms at once, so it is done
 * a few certificates a turn. They are read when a session is wanted first, and again after
 * tls_stale(): whoever renews certificates need not tell us. */
#ifndef MCPTALLY_EXPORT_TLS_H
#define MCPTALLY_EXPORT_TLS_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "helper/helper.h"

#define TLS_SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

struct tls_files {
    const char *ca, *cert, *key; /* ca NULL: the system's; cert and key: both or neither */
    bool skip_verify;
};

struct tls;

/* Strings are copied. NULL when memory is out. */
struct tls *tls_new(struct event_base *base, struct helper *helper, const struct tls_files *f);
void tls_free(struct tls *t); /* who waits is never answered */

/* Who waits for the certificates. */
struct tls_waiter {
    TAILQ_ENTRY(tls_waiter) entry;
    bool waits;
    void (*done)(void *arg, const char *error); /* NULL: they are there */
    void *arg;
};

/* True when they are there; else w is told later, from the loop, also of a failure. */
bool tls_want(struct tls *t, struct tls_waiter *w);
void tls_forget(struct tls *t, struct tls_waiter *w);

/* What is there may be out of date: the next tls_want() reads the files again. */
void tls_stale(struct tls *t);

/* A client session that checks that the peer is `host` (a name, or an address if
 * `literal`), and asks for HTTP/2 by ALPN if `h2`. NULL when memory is out. */
SSL *tls_session(struct tls *t, const char *host, bool literal, bool h2);

/* The reason at the top of OpenSSL's queue, or of a failed check of the peer; empties the
 * queue. NULL when there is none. */
const char *tls_reason(SSL *ssl, unsigned long error);

#endif
