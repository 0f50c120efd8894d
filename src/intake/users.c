#include "intake/users.h"

#include <assert.h>

#include "base/clock.h"

#define BURST NS_PER_S

/* The index of a user, n when he is not known. */
static unsigned find(const struct users *u, uint32_t uid)
{
    unsigned i = 0;
    while (i < u->n && u->of[i].uid != uid)
        i++;
    return i;
}

static bool even(const struct user *user, uint64_t now)
{
    return user->bytes <= now && user->items <= now;
}

/* Those who have gone and owe nothing any more. */
static void forget_gone(struct users *u, uint64_t now)
{
    for (unsigned i = u->n; i-- > 0;)
        if (u->of[i].connections == 0 && even(&u->of[i], now))
            u->of[i] = u->of[--u->n];
}

bool users_take(struct users *u, uint32_t uid, unsigned limit, uint64_t now)
{
    unsigned i = find(u, uid);
    if (i == USERS_MAX) {
        forget_gone(u, now);
        i = u->n;
    }
    if (i == USERS_MAX)
        return false;
    if (i == u->n)
        u->of[u->n++] = (struct user){.uid = uid};
    if (u->of[i].connections >= limit)
        return false;
    u->of[i].connections++;
    return true;
}

void users_give(struct users *u, uint32_t uid, uint64_t now)
{
    const unsigned i = find(u, uid);
    assert(i < u->n && u->of[i].connections > 0);
    if (--u->of[i].connections == 0 && even(&u->of[i], now))
        u->of[i] = u->of[--u->n];
}

static void charge(uint64_t *at, uint64_t n, uint64_t rate, uint64_t now)
{
    const uint64_t least = now > BURST ? now - BURST : 0;
    const uint64_t from = *at > least ? *at : least;
    *at = rate == 0 ? 0 : from + (n > UINT32_MAX ? UINT32_MAX : n) * NS_PER_S / rate;
}

void users_charge(struct users *u, uint32_t uid, uint64_t bytes, uint64_t items,
                  const struct user_rates *rates, uint64_t now)
{
    const unsigned i = find(u, uid);
    assert(i < u->n);
    charge(&u->of[i].bytes, bytes, rates->bytes, now);
    charge(&u->of[i].items, items, rates->items, now);
}

bool users_even(const struct users *u, uint32_t uid, uint64_t now)
{
    const unsigned i = find(u, uid);
    return i == u->n || even(&u->of[i], now);
}
