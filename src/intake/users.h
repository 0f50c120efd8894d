/* users: how many connections each user has, and how much he may send. Floor 4. No I/O.
 *
 * A user could otherwise take every place by naming many services, which fall into
 * different failure domains, and many times a domain's bytes and items a second. Who is
 * over his rate is read later; nothing of his is dropped for it. What he has used is
 * remembered after his last connection until it is even, so that coming again buys him
 * nothing. */
#ifndef MCPTALLY_INTAKE_USERS_H
#define MCPTALLY_INTAKE_USERS_H

#include <stdbool.h>
#include <stdint.h>

enum { USERS_MAX = 1024 }; /* with connections at one time; further ones are refused */

struct user_rates {
    uint64_t bytes, items; /* a second; 0: no limit */
};

struct users {
    unsigned n;
    struct user {
        uint32_t uid, connections;
        uint64_t bytes, items; /* mono ns when what was used is even with the rate */
    } of[USERS_MAX];
};

/* One connection more: false when the user has `limit` already. now: mono ns. */
bool users_take(struct users *u, uint32_t uid, unsigned limit, uint64_t now);

/* One less. */
void users_give(struct users *u, uint32_t uid, uint64_t now);

/* What a user with a connection has sent. A second's worth may come at once. */
void users_charge(struct users *u, uint32_t uid, uint64_t bytes, uint64_t items,
                  const struct user_rates *rates, uint64_t now);

/* Whether he is within his rates. */
bool users_even(const struct users *u, uint32_t uid, uint64_t now);

#endif
