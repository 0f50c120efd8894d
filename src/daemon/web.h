/* web: who may ask at the HTTP ports, kept as the web configuration file says. Floor 5.
 *
 * The file is read at start, at SIGHUP, and when it or a certificate has changed; what is
 * read is in force once the gate has taken its certificates, and until then, or for ever
 * when something is wrong with it, what was before. */
#ifndef MCPTALLY_DAEMON_WEB_H
#define MCPTALLY_DAEMON_WEB_H

#include "daemon/config.h"
#include "gate/gate.h"
#include "helper/helper.h"
#include "pipeline/pipeline.h"
#include "serve/access.h"
#include "serve/http.h"
#include "serve/throttle.h"

enum { WEB_PATH = 4096, WEB_BYTES = 64 << 10 /* of the file */ };

struct web {
    struct event_base *base;
    struct pipeline *pl;
    struct helper *helper;
    char path[WEB_PATH];                          /* "": no file */
    bool health_authentication, health_tls, otlp; /* of the keys of these names */
    struct web_config *config;                    /* in force */
    struct web_config *trying; /* the gate looks at its certificates; NULL: nothing */
    uint64_t number;           /* of what was last given to the gate */
    struct helper_call *reading;
    bool again;        /* it has changed while it was read */
    struct gate *gate; /* NULL: there was no file yet */
    struct access *access;
    struct throttle *throttle;
    struct http_guard metrics, health, otlp_guard; /* for the ports */
    char error[512]; /* why the newest file is not in force; "": it is */
};

/* Reads the file that c names, if any, and looks at its certificates, all of which blocks.
 * `used` is the configuration file, NULL if there is none. */
bool web_check(const struct config *c, const char *used, struct faults *f);

/* Appends a line for each port that others can reach and that does not ask who they are in
 * TLS. After web_check(). */
void web_warn(const struct config *c, const char *used, struct buf *to);

/* 0, -ERR_NOMEM, or -ERR_SYNTAX when what web_check() found good no longer is. After a
 * failure, too, web_stop() is to be called. */
int web_start(struct web *w, struct event_base *base, struct pipeline *pl, struct helper *helper,
              const struct config *c, const char *used);

/* What can be changed while it runs; reads the file again. */
void web_configure(struct web *w, const struct config *c, const char *used);

/* Answers all who wait to be known; before a port is closed. */
void web_settle(struct web *w);

void web_stop(struct web *w);

#endif
