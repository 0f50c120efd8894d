#include "export/route.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void finish(struct route *r, const char *error)
{
    r->looking = false;
    r->done(r->arg, error);
}

int route_size(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? (int)sizeof(struct sockaddr_in6)
                                    : (int)sizeof(struct sockaddr_in);
}

/* ---- certificates, the second half ---- */

static void on_certificates(void *arg, const char *error)
{
    finish(arg, error);
}

static void want_certificates(struct route *r)
{
    if (!r->to->tls || tls_want(r->setup->tls, &r->certificates))
        finish(r, NULL);
}

/* ---- addresses ---- */

static void keep(struct route *r, const struct sockaddr_storage *addresses, unsigned n)
{
    r->n = n < HELPER_ADDRESSES ? n : HELPER_ADDRESSES;
    memcpy(r->address, addresses, r->n * sizeof *addresses);
    r->found = clock_now().mono;
}

static void on_resolved(void *arg, int error, const struct sockaddr_storage *addresses, unsigned n)
{
    struct route *r = arg;
    char why[ENDPOINT_HOST + 80];
    r->asked = NULL;
    if (error || n == 0) {
        snprintf(why, sizeof why, "%s: cannot be resolved: %s", r->to->host,
                 err_help(error ? error : ERR_NOTFOUND));
        finish(r, why);
        return;
    }
    keep(r, addresses, n);
    want_certificates(r);
}

static void keep_literal(struct route *r)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
    if (inet_pton(AF_INET, r->to->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(r->to->port);
    } else if (inet_pton(AF_INET6, r->to->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(r->to->port);
    }
    keep(r, &a, 1);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct route *r = arg;
    (void)fd;
    (void)what;
    if (r->to->literal)
        keep_literal(r);
    if (r->found && clock_now().mono < r->found + ROUTE_FRESH * NS_PER_S) {
        want_certificates(r);
        return;
    }
    r->asked = helper_resolve(r->setup->helper, r->to->host, r->to->port, on_resolved, r);
    if (!r->asked)
        finish(r, "no memory to resolve a name");
}

void route_find(struct route *r)
{
    static const struct timeval at_once = {0, 0};
    if (r->looking)
        return;
    r->looking = true;
    event_add(r->turn, &at_once);
}

void route_lost(struct route *r)
{
    r->found = 0;
}

int route_init(struct route *r, struct setup *s, const struct endpoint *e,
               void (*done)(void *arg, const char *error), void *arg)
{
    *r = (struct route){.setup = s, .to = e, .done = done, .arg = arg};
    r->certificates = (struct tls_waiter){.done = on_certificates, .arg = r};
    r->turn = event_new(s->base, -1, 0, on_turn, r);
    return r->turn ? 0 : -ERR_NOMEM;
}

void route_fini(struct route *r)
{
    if (r->asked)
        helper_forget(r->asked);
    if (r->to && r->to->tls)
        tls_forget(r->setup->tls, &r->certificates);
    if (r->turn)
        event_free(r->turn);
    *r = (struct route){0};
}
