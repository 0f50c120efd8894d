/* users: how many connections each user has. Floor 4. No I/O.
 *
 * A user could otherwise take every place by naming many services, which fall
 * into different failure domains. */
#ifndef MCPTALLY_INTAKE_USERS_H
#define MCPTALLY_INTAKE_USERS_H

#include <stdbool.h>
#include <stdint.h>

enum { USERS_MAX = 1024 }; /* with connections at one time; further ones are refused */

struct users {
    unsigned n;
    struct {
        uint32_t uid, connections;
    } of[USERS_MAX];
};

/* One connection more: false when the user has `limit` already. */
bool users_take(struct users *u, uint32_t uid, unsigned limit);

/* One less. */
void users_give(struct users *u, uint32_t uid);

#endif
