#include "intake/users.h"

#include <assert.h>

/* The index of a user, n when he has no connection. */
static unsigned find(const struct users *u, uint32_t uid)
{
    unsigned i = 0;
    while (i < u->n && u->of[i].uid != uid)
        i++;
    return i;
}

bool users_take(struct users *u, uint32_t uid, unsigned limit)
{
    const unsigned i = find(u, uid);
    if (i == u->n) {
        if (i == USERS_MAX)
            return false;
        u->of[i].uid = uid;
        u->of[i].connections = 0;
        u->n++;
    }
    if (u->of[i].connections >= limit)
        return false;
    u->of[i].connections++;
    return true;
}

void users_give(struct users *u, uint32_t uid)
{
    const unsigned i = find(u, uid);
    assert(i < u->n && u->of[i].connections > 0);
    if (--u->of[i].connections == 0)
        u->of[i] = u->of[--u->n];
}
