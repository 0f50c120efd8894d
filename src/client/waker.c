#include "client/waker.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

static bool barrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void waker_init(struct waker *w, bool others)
{
    const int saved = errno;
    w->fd = -1;
    atomic_init(&w->rest, REST_ASLEEP);
    atomic_init(&w->fence, !barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ||
                               (others && !barrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)));
    errno = saved;
}

int waker_open(struct waker *w)
{
    if (w->fd < 0)
        w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->fd < 0 ? -ERR_IO : 0;
}

void waker_close(struct waker *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

bool waker_announce(struct waker *w, enum rest rest)
{
    atomic_store_explicit(&w->rest, rest, memory_order_relaxed);
    if (rest != REST_ASLEEP)
        return true; /* a nap has a deadline: it is no loss when it is seen late */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&w->fence, memory_order_relaxed))
        return true;
    if (barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        return true;
    /* It was taken away, by a seccomp filter perhaps. Emitters fence from now on,
     * but one may be on its way without. */
    atomic_store_explicit(&w->fence, true, memory_order_relaxed);
    return false;
}

bool waker_up(struct waker *w)
{
    uint64_t count;
    atomic_store_explicit(&w->rest, REST_AWAKE, memory_order_relaxed);
    return w->fd >= 0 && read(w->fd, &count, sizeof count) == sizeof count;
}

void waker_wake(struct waker *w)
{
    const int saved = errno;
    const uint64_t one = 1;
    while (w->fd >= 0 && write(w->fd, &one, sizeof one) < 0 && errno == EINTR)
        continue; /* EAGAIN: the count is at its top, so it is readable */
    errno = saved;
}

void waker_tell(struct waker *w, bool pressing)
{
    int rest = atomic_load_explicit(&w->rest, memory_order_relaxed);
    if (rest == REST_AWAKE || (rest == REST_NAP && !pressing))
        return;
    /* Of several emitters only the one that changes it makes the system call. */
    if (atomic_compare_exchange_strong_explicit(&w->rest, &rest, REST_AWAKE, memory_order_acq_rel,
                                                memory_order_relaxed))
        waker_wake(w);
}
