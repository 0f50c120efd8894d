#include "probe/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

socklen_t reach_size(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

const char *reach_text(const struct sockaddr_storage *a, char to[REACH_TEXT])
{
    const void *address = a->ss_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)a)->sin_addr;
    return inet_ntop(a->ss_family, address, to, REACH_TEXT) ? to : "?";
}

static bool is_literal(struct reach *r, const char *host, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&r->address[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&r->address[0];
    memset(&r->address[0], 0, sizeof r->address[0]);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return true;
}

static void on_resolved(void *arg, int error, const struct sockaddr_storage *addresses, unsigned n)
{
    struct reach *r = arg;
    const bool ours = error == -ERR_CLOSED || error == -ERR_FULL || error == -ERR_NOMEM;
    r->asked = NULL;
    if (error || n == 0) {
        probe_end(r->p, ours ? OWN_RESULT_NOT_RUN : OWN_RESULT_UNREACHABLE,
                  "the name cannot be resolved: %s", err_help(error ? error : ERR_NOTFOUND));
        return;
    }
    r->n = n < HELPER_ADDRESSES ? n : HELPER_ADDRESSES;
    memcpy(r->address, addresses, r->n * sizeof *addresses);
    r->done(r->p);
}

void reach_find(struct reach *r, struct probe *p, const char *host, uint16_t port,
                void (*done)(struct probe *p))
{
    r->p = p;
    r->done = done;
    r->at = 0;
    if (is_literal(r, host, port)) {
        r->n = 1;
        done(p);
        return;
    }
    r->asked = helper_resolve(p->all->env.helper, host, port, on_resolved, r);
    if (!r->asked)
        probe_end_unrun(p, "no memory");
}

void reach_stop(struct reach *r)
{
    helper_forget(r->asked);
    r->asked = NULL;
}
