/* clock: time as an argument. Floor 0.
 *
 * Nothing below floor 4 reads a clock: it is handed a struct when. A test or
 * the simulation hands over any time it likes. */
#ifndef MCPTALLY_BASE_CLOCK_H
#define MCPTALLY_BASE_CLOCK_H

#include <stdint.h>

struct when {
    uint64_t mono; /* ns, never goes back (CLOCK_BOOTTIME: the same in every process) */
    uint64_t wall; /* ns since 1970-01-01 UTC; may jump */
};

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* The real clocks; for floor 4 and above, the client and the commands. */
struct when clock_now(void);
uint64_t clock_mono(void); /* one of them: each reading takes its time */
uint64_t clock_wall(void);

/* As libevent's timers take it; rounded up: one that ends before its time finds nothing due,
 * and is set once more. */
struct timeval;
struct timeval timeval_of(uint64_t ns);

#endif
