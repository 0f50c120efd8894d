#include "export/setup.h"

#include <event2/bufferevent_ssl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

void setup_connected(struct setup *s, const struct endpoint *e)
{
    s->stats->connects++;
    s->stats->error[0] = '\0';
    if (s->troubled)
        log_info("export", "%s: connected to %s again", s->name, e->authority);
    s->troubled = false;
}

void setup_failed(struct setup *s, const char *why)
{
    snprintf(s->stats->error, sizeof s->stats->error, "%s", why);
    if (!s->troubled)
        log_warn("export", "%s: %s", s->name, why);
    s->troubled = true;
}

uint64_t setup_connect(const struct setup *s)
{
    const uint64_t most = EXPORT_CONNECT * NS_PER_S;
    const uint64_t part = s->timeout / 4 * 3; /* so that this is known first */
    return part < most ? part : most;
}

struct timeval setup_time(uint64_t ns)
{
    return (struct timeval){(time_t)(ns / NS_PER_S), (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
}

struct timeval setup_connect_time(const struct setup *s)
{
    return setup_time(setup_connect(s));
}

struct bufferevent *setup_bufferevent(const struct setup *s, const struct endpoint *to, bool h2,
                                      SSL **ssl)
{
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    if (!to->tls)
        return bufferevent_socket_new(s->base, -1, options);
    SSL *session = tls_session(s->tls, to->host, to->literal, h2);
    if (!session)
        return NULL;
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(s->base, -1, session, BUFFEREVENT_SSL_CONNECTING, options);
    if (!bev) {
        SSL_free(session);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    *ssl = session;
    return bev;
}
