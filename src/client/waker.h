/* waker: lets an emitting thread wake the one that sends, without a system call or
 * a fence as long as that one is awake.
 *
 * An emitter stores its data and then reads `rest`; the sleeper stores `rest` and
 * then reads the data. One of the two must see the other's store, which takes a
 * full fence between store and load on both sides. The sleeper pays for both: its
 * membarrier(2) makes every running thread of the process pass through a fence.
 * Where there is no membarrier, `fence` says that emitters fence for themselves. */
#ifndef MCPTALLY_CLIENT_WAKER_H
#define MCPTALLY_CLIENT_WAKER_H

#include <stdatomic.h>
#include <stdbool.h>

enum rest {
    REST_AWAKE,  /* working, or nothing that an emitter does matters: no wakeup wanted */
    REST_NAP,    /* sleeps until a deadline: wake it when a buffer is half full */
    REST_ASLEEP, /* sleeps without one: wake it for anything */
};

struct waker {
    _Atomic int rest;
    _Atomic bool fence;
    int fd; /* eventfd, -1 before waker_open() */
};

/* No descriptor yet; finds out what the kernel can do. `others`: a sleeper in another
 * process, the daemon, may use the barrier as well. */
void waker_init(struct waker *w, bool others);

/* 0, -ERR_IO when there is no descriptor to be had; may be called again. */
int waker_open(struct waker *w);
void waker_close(struct waker *w);

/* The sleeper: after REST_ASLEEP is announced it looks at the data once more.
 * False when the announcement may not have reached every emitter: then it must
 * not sleep without a deadline. */
bool waker_announce(struct waker *w, enum rest rest);

/* The sleeper is up; true when somebody called waker_wake() since the last time. */
bool waker_up(struct waker *w);

/* Wakes the sleeper, whatever its rest; leaves errno alone. */
void waker_wake(struct waker *w);

/* The slow half of waker_published(). */
void waker_tell(struct waker *w, bool pressing);

/* Between what an emitter stores and what it then reads of the sleeper's. */
static inline void waker_fence(const struct waker *w)
{
    if (atomic_load_explicit(&w->fence, memory_order_relaxed))
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
}

/* An emitter has stored data; `pressing` when a buffer is half full. */
static inline void waker_published(struct waker *w, bool pressing)
{
    waker_fence(w);
    if (__builtin_expect(atomic_load_explicit(&w->rest, memory_order_relaxed) != REST_AWAKE, 0))
        waker_tell(w, pressing);
}

#endif
