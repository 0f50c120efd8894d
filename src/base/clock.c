#include "base/clock.h"

#include <assert.h>
#include <sys/time.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int r = clock_gettime(id, &ts);
    assert(r == 0);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

__attribute__((hot)) struct when clock_now(void)
{
    return (struct when){.mono = clock_mono(), .wall = clock_wall()};
}

struct timeval timeval_of(uint64_t ns)
{
    const uint64_t us = ns / NS_PER_US + (ns % NS_PER_US != 0);
    return (struct timeval){.tv_sec = (time_t)(us / 1000000),
                            .tv_usec = (suseconds_t)(us % 1000000)};
}
