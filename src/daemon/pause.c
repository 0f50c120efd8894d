#include "daemon/pause.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "daemon/daemon.h"

static const struct timespec pause_time = {.tv_sec = 1};

static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};

enum { CRASHES = sizeof crashes / sizeof *crashes };

/* Without a handler: there may be no loop, and no memory for one. */
int pause_failed(int status)
{
    sigset_t all, stop;
    if (status != DAEMON_FAILED || !notify_is_parent())
        return status;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    return sigtimedwait(&stop, NULL, &pause_time) > 0 ? DAEMON_OK : status;
}

/* Only what may be called anywhere. What ends the process is the signal itself, with its core:
 * its handler is gone by now. A process that we have forked does not wait. */
static void on_crash(int sig)
{
    if (notify_is_parent())
        nanosleep(&pause_time, NULL);
    raise(sig);
}

void pause_crashes(void)
{
    struct sigaction a = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    if (!notify_is_parent())
        return;
    sigfillset(&a.sa_mask);
    sigdelset(&a.sa_mask, SIGTERM);
    sigdelset(&a.sa_mask, SIGINT);
    for (unsigned i = 0; i < CRASHES; i++)
        sigaction(crashes[i], &a, NULL);
}

void pause_no_crashes(void)
{
    if (!notify_is_parent())
        return;
    for (unsigned i = 0; i < CRASHES; i++)
        signal(crashes[i], SIG_DFL);
}
