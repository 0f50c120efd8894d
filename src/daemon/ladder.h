/* ladder: the brake on a crash loop. Floor 5. No clock, no I/O.
 *
 * systemd starts a crashed daemon again at once and for ever, which is right
 * for one crash and wrong for a store or an input that kills every daemon. The
 * store's head remembers when daemons started; an orderly stop wipes that. From
 * the sixth start within LADDER_WINDOW on, each waits before it serves, twice as
 * long as the one before; the start after LADDER_LAST sets the store aside. */
#ifndef MCPTALLY_DAEMON_LADDER_H
#define MCPTALLY_DAEMON_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define LADDER_WINDOW   (10 * NS_PER_S)
#define LADDER_MAX_WAIT (30 * NS_PER_S)

enum { LADDER_FREE = 5, LADDER_LAST = 10 };

struct ladder {
    unsigned starts; /* in the present row, this one included */
    uint64_t wait;   /* ns before serving */
    bool set_aside;
};

/* Judges the newest of n start times (mono ns, ascending). */
struct ladder ladder_judge(const uint64_t *starts, size_t n);

#endif
