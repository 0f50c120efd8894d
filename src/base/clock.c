#include "base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int r = clock_gettime(id, &ts);
    assert(r == 0);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct when clock_now(void)
{
    return (struct when){.mono = read_clock(CLOCK_BOOTTIME), .wall = read_clock(CLOCK_REALTIME)};
}
