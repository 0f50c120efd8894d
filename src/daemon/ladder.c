#include "daemon/ladder.h"

static uint64_t wait_of(unsigned starts)
{
    uint64_t wait = NS_PER_S;
    if (starts <= LADDER_FREE)
        return 0;
    for (unsigned i = LADDER_FREE + 1; i < starts && wait < LADDER_MAX_WAIT; i++)
        wait *= 2;
    return wait < LADDER_MAX_WAIT ? wait : LADDER_MAX_WAIT;
}

/* How many of the starts up to and with number i lie within the window. */
static unsigned in_window(const uint64_t *starts, size_t i)
{
    unsigned n = 1;
    while (n <= i && starts[i] - starts[i - n] < LADDER_WINDOW)
        n++;
    return n;
}

struct ladder ladder_judge(const uint64_t *starts, size_t n)
{
    unsigned row = 1;
    for (size_t i = 1; i < n; i++) {
        /* Once it waits, what counts is how long it served after the wait. */
        bool braked = row > LADDER_FREE;
        uint64_t served = starts[i - 1] + wait_of(row);
        bool soon = starts[i] < served || starts[i] - served < LADDER_WINDOW;
        row = braked && soon ? row + 1 : in_window(starts, i);
        if (!braked && row > LADDER_FREE)
            row = LADDER_FREE + 1;
    }
    return (struct ladder){row, wait_of(row), row > LADDER_LAST};
}
