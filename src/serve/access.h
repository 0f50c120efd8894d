/* access: who may ask. Floor 4.
 *
 * Users have passwords (basic authentication, bcrypt), programs have tokens (bearer). A
 * token is checked at once; a password by whoever was given as `verify`, for it takes
 * sixty milliseconds, and what came of it is remembered by a keyed hash. A flood of wrong
 * passwords fills the short queue of those that are being checked, its own share of it
 * first, and is then answered with "busy"; who is remembered does not notice. */
#ifndef MCPTALLY_SERVE_ACCESS_H
#define MCPTALLY_SERVE_ACCESS_H

#include <sys/queue.h>

#include "base/str.h"
#include "serve/address.h"
#include "gate/web_config.h"

enum {
    ACCESS_CHECKS = 16,     /* passwords being checked: one second's worth */
    ACCESS_EACH = 2,        /* of one client address */
    ACCESS_WAITING = 256,   /* requests that wait for one of them */
    ACCESS_RIGHT = 256,     /* passwords remembered as right: as many as users */
    ACCESS_WRONG = 256,     /* and as wrong; apart, so that those push out none of these */
    ACCESS_PASSWORD = 1024, /* bytes of a user's name and password */
};

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_DENIED,
    ACCESS_BUSY,  /* too many passwords are being checked */
    ACCESS_LATER, /* w->done will be called */
};

struct access;

/* Starts checking; access_verified() tells what came of it. False: it cannot be now. */
typedef bool access_verify(void *arg, uint64_t question, const char *hash, struct str password);

struct access_wait {
    TAILQ_ENTRY(access_wait) link;
    struct access_check *check; /* NULL: it does not wait */
    void (*done)(struct access_wait *w, enum access_verdict v);
};

/* Everybody may, until it is configured. NULL when memory is out, or no secret was to be had. */
struct access *access_new(access_verify *verify, void *arg);

/* Nobody may wait any more. */
void access_free(struct access *a);

/* Borrows the configuration until the next one, or the end. */
void access_configure(struct access *a, const struct web_config *w);

const char *access_challenge(struct access *a); /* what WWW-Authenticate says */
const char *access_header(const struct access *a, enum web_header h); /* "" for none */

/* Judges what an Authorization header says (NULL: there is none). Calls back for LATER
 * only, never from inside. */
enum access_verdict access_ask(struct access *a, const char *authorization,
                               const struct client_address *from, struct access_wait *w);
void access_forget(struct access *a, struct access_wait *w);

/* From the verifier. */
void access_verified(struct access *a, uint64_t question, bool right);
void access_lost(struct access *a); /* no question that is open will be answered */

/* The file's own rate_limit, all clients together: false when the request is too many.
 * now: ns, monotonic. */
bool access_rate(struct access *a, uint64_t now);

#endif
