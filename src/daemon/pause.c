#include "daemon/pause.h"

#include <signal.h>
#include <stddef.h>

#include "daemon/daemon.h"

enum { PAUSE_S = 1 };

/* Without a handler: there may be no loop, and no memory for one. */
int pause_failed(int status)
{
    static const struct timespec pause = {.tv_sec = PAUSE_S};
    sigset_t all, stop;
    if (status != DAEMON_FAILED || !notify_is_parent())
        return status;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    return sigtimedwait(&stop, NULL, &pause) > 0 ? DAEMON_OK : status;
}
