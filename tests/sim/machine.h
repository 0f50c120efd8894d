/* machine: the simulated daemon, which can be killed between any two stores, and
 * its simulated memory, clock and sockets.
 *
 * The store lives in memory that outlasts the daemon, as a tmpfs file does. A
 * kill is a longjmp out of a change to the store; what the dead process had
 * allocated is freed, and nothing that it meant to do is done. */
#ifndef MCPTALLY_SIM_MACHINE_H
#define MCPTALLY_SIM_MACHINE_H

#include <setjmp.h>

#include "base/buf.h"
#include "follower.h"
#include "pipeline/link_ring.h"
#include "pipeline/sampling.h"
#include "rng.h"
#include "watch/health.h"
#include "wire/shm_ring.h"

enum {
    MACHINE_CABLES = 8,
    MACHINE_BYTES = 4 << 20, /* of the store */
    MACHINE_PAGE = 4096,
    MACHINE_RULES = 3, /* that each named event matches */
    CABLE_BYTES = 1 << 20,
};

/* One connection: bytes on their way up to the daemon and down to the producer. */
struct cable {
    bool open;
    bool kept;    /* the daemon has taken bytes that it has not got to yet */
    bool hung_up; /* the producer's end is closed; what it wrote is still read */
    struct buf up, down;
    struct link link;
    bool linked;

    struct shm_ring *shm; /* what the producer may offer; NULL: nothing */
    struct shm_ring_slot *slot;
    struct link_ring ring;
    bool shared; /* it was offered, and is read */
};

/* Which changes are left out of the undo log, to show that it would be noticed. */
#define MUTANT_TABLE(X)                                                                            \
    X(NONE, "none")                                                                                \
    X(CELLS, "cells")                                                                              \
    X(SESSIONS, "sessions")                                                                        \
    X(SERIES, "series")                                                                            \
    X(METRICS, "metrics")                                                                          \
    X(TABLES, "tables")                                                                            \
    X(BUCKETS, "buckets")                                                                          \
    X(RINGS, "rings")                                                                              \
    X(FOLLOWER, "follower")                                                                        \
    X(STREAMS, "streams")                                                                          \
    X(DOMAINS, "domains")

enum mutant {
#define X(sym, word) MUTANT_##sym,
    MUTANT_TABLE(X)
#undef X
        MUTANT_MAX
};

const char *mutant_name(enum mutant m);

struct machine {
    struct rng *rng;
    void *mem;
    size_t size;
    bool page[MACHINE_BYTES / MACHINE_PAGE]; /* which have memory behind them */
    uint32_t pages_left;                     /* that can still be had */
    struct store_identity me;
    struct when now;
    struct pipeline_options options;
    struct rules *rules;
    struct redact *redact;
    struct sampling_options sampling_options; /* what the next daemon starts with */
    struct sampling *sampling;                /* NULL: everything is kept */

    bool alive;
    bool attached; /* store and pipeline are to be freed */
    struct store st;
    struct pipeline pl;
    struct ring_edge edge;
    struct health_watch watch;
    struct follower follower; /* what it remembers outlasts the daemon: it judges it */
    struct cable cables[MACHINE_CABLES];

    uint32_t famine;      /* of a million allocations of the daemon, so many fail */
    struct rng hunger;    /* its chance: how often it is asked does not change the rest */
    uint64_t starved;     /* how many have failed */
    uint64_t points_left; /* store points until the kill that is set; 0: none is */
    jmp_buf death;
    enum mutant mutant;
    uint64_t kills;
    char wrong[160]; /* what an attach found wrong */
};

void machine_init(struct machine *m, struct rng *rng, enum mutant mutant);
void machine_fini(struct machine *m);

/* Starts the daemon, which may be killed while it starts (then it is not alive).
 * False when it found its store damaged: m->wrong says how. */
bool machine_start(struct machine *m);

/* Sets a kill within the next `points` store points. */
void machine_doom(struct machine *m, uint32_t points);

/* A producer connects to cable i, or closes its end. */
bool machine_connect(struct machine *m, unsigned i);
void machine_hang_up(struct machine *m, unsigned i);

/* The connection is lost, and with it all behind the first n bytes that are on their way. */
void machine_cut(struct machine *m, unsigned i, size_t n);

/* The daemon reads up to n bytes of a cable and answers; reads of a hung-up one
 * end with the end of its data. */
void machine_read(struct machine *m, unsigned i, size_t n);

/* The daemon reads up to n words, or one item, of the ring that was offered over a cable;
 * what has no definition is waited for, or not any longer. */
void machine_read_ring(struct machine *m, unsigned i, uint32_t n, bool patient);

/* Anything else that the daemon does; a kill may end it. False when it did. */
bool machine_do(struct machine *m, void (*what)(void *arg), void *arg);

/* The idle sweep. */
void machine_tick(struct machine *m);

/* The consumer of the event ring goes on by up to `records`. */
void machine_watch(struct machine *m, unsigned records);

/* The consumer that follows the rings goes on; or reads and settles all. */
void machine_follow(struct machine *m);
void machine_follow_all(struct machine *m);

/* Memory becomes short: `pages` more can be had, and the heap has `bytes` left of
 * what it has. Only more pages help. */
void machine_squeeze(struct machine *m, uint32_t pages, uint64_t bytes);

/* Other options, as after a reload. */
void machine_reload(struct machine *m, unsigned cardinality, uint64_t series_idle);

#endif
