#include "daemon/tick.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

/* Also when the times that were missed cannot be read: then it is at once called again. */
static void on_time(evutil_socket_t fd, short what, void *arg)
{
    const struct tick *t = arg;
    uint64_t times;
    (void)what;
    if (read(fd, &times, sizeof times) >= 0 || errno != EAGAIN)
        t->call(t->arg);
}

static int open_timer(uint64_t ns)
{
    const struct timespec each = {.tv_sec = (time_t)(ns / NS_PER_S),
                                  .tv_nsec = (long)(ns % NS_PER_S)};
    const struct itimerspec rate = {each, each};
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd >= 0 && timerfd_settime(fd, 0, &rate, NULL) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int tick_start(struct tick *t, struct event_base *base, uint64_t ns, void (*call)(void *arg),
               void *arg)
{
    *t = (struct tick){.fd = open_timer(ns), .call = call, .arg = arg};
    if (t->fd < 0)
        return -1;
    t->event = event_new(base, t->fd, EV_READ | EV_PERSIST, on_time, t);
    if (t->event && event_add(t->event, NULL) == 0)
        return 0;
    tick_stop(t);
    return -1;
}

void tick_stop(struct tick *t)
{
    if (t->event)
        event_free(t->event);
    close(t->fd);
    *t = (struct tick){.fd = -1};
}
