/* session: what mcptally_open() makes, and what the parts of the library share.
 *
 * Three locks, taken in this order: the list of sessions (open, close, fork, the
 * end of a thread), the session's (sending), the registry's (defining). Emitting
 * takes none. */
#ifndef MCPTALLY_CLIENT_SESSION_H
#define MCPTALLY_CLIENT_SESSION_H

#include <pthread.h>

#include "client/local.h"
#include "mcptally.h"
#include "client/place.h"
#include "client/pump.h"
#include "client/registry.h"
#include "client/share.h"
#include "client/waker.h"
#include "wire/producer.h"

/* Counts of rings that are gone, and of a session that the daemon could not go on with. */
struct past {
    uint64_t emitted, full, invalid;
    uint64_t taken, acknowledged, rejected, queue, expired;
};

struct mcptally {
    uint64_t serial; /* differs from that of any other session of this process or a parent */
    struct waker waker;
    _Atomic(struct ring *) new_rings; /* pushed by threads, taken by the pump */
    _Atomic uint64_t homeless;        /* items of threads for which there was no ring */
    struct registry registry;

    /* set by mcptally_open(); names.instance changes in a forked child */
    struct names names;
    unsigned flags;
    uint32_t buffer_bytes, flush_ms;

    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t moved; /* the pump got something acknowledged */
    struct producer producer;
    struct pump pump;
    struct share share;
    struct ring *rings;
    struct past past;
    uint64_t homeless_told;
    uint64_t rejected_told, lost_told; /* what mcptally_flush() has reported */
    unsigned flushing;                 /* callers in mcptally_flush() */
    pthread_t helper;
    bool helping, stopping;

    struct mcptally *next; /* in the list of sessions */
};

/* The daemon knows another past of this session: what is queued counts as expired,
 * and a new session begins. Under the lock. */
void session_begin_anew(struct mcptally *m);

/* Gets what sending needs and is not there yet: descriptors, the helper thread.
 * Under the lock. */
void session_ready(struct mcptally *m);

/* Likewise, but takes the lock. */
void session_rouse(struct mcptally *m);

/* A thread ends: its rings are drained as far as can be, and let go. */
void session_thread_ended(struct ring *rings);

#endif
