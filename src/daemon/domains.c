#include "daemon/domains.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "daemon/value.h"

/* The peer's executable, looked up once; empty when it cannot be told. */
static struct str exe_of(const struct peer *peer, char *to, size_t size, bool *looked)
{
    if (!*looked) {
        char link[64];
        snprintf(link, sizeof link, "/proc/%u/exe", peer->pid);
        ssize_t n = readlink(link, to, size - 1);
        to[n > 0 ? n : 0] = '\0';
        *looked = true;
    }
    return str_of(to);
}

static bool may_choose(const struct config *c, uint32_t uid)
{
    for (size_t i = 0; i < c->domains_choosers.n; i++) {
        uint64_t v;
        if (value_count(c->domains_choosers.items[i], &v) && v == uid)
            return true;
    }
    return false;
}

static unsigned by_hash(const struct config *c, struct str name, uint32_t uid)
{
    return (unsigned)(hash_bytes(name.p, name.n, uid) % c->domains_count);
}

unsigned domains_choose(void *arg, const struct peer *peer, struct str service, struct str asked)
{
    const struct config *c = arg;
    char exe[PATH_MAX];
    bool looked = false;
    for (size_t i = 0; i < c->domains_mapping.n; i++) {
        const struct config_domain *d = &c->domains_mapping.entries[i];
        if ((!d->has_uid || d->uid == peer->uid) &&
            (!*d->service || str_eq(service, str_of(d->service))) &&
            (!*d->exe || str_eq(exe_of(peer, exe, sizeof exe, &looked), str_of(d->exe))))
            return d->domain;
    }
    if (asked.n && may_choose(c, peer->uid))
        return by_hash(c, asked, 0);
    return by_hash(c, service, peer->uid);
}
