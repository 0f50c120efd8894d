/* spooler: a spool as the forwarding lanes see it, which answers when the history says,
 * fails as disks do, and outlives the daemon. */
#ifndef MCPTALLY_SIM_SPOOLER_H
#define MCPTALLY_SIM_SPOOLER_H

#include "forward/lane.h"
#include "rng.h"

enum { SPOOLER_RECORDS = 4096 };

enum spooler_op { OP_NONE, OP_OPEN, OP_APPEND, OP_READ, OP_FINISH };

struct spooler_record {
    uint64_t seq, written;
    uint32_t items;
    char *bytes;
    size_t n;
};

struct spooler_ask {
    enum spooler_op op;
    uint64_t seq;
    uint32_t items;
    char *bytes;
    size_t n;
};

struct spooler {
    struct rng *rng;
    struct spooler_record records[SPOOLER_RECORDS]; /* from the oldest */
    unsigned n;
    uint64_t next;
    uint64_t dropped[3]; /* since it was opened */
    struct spooler_ask asked[4];
    unsigned nasked;
    bool open;
    bool no_room, unreadable; /* now */
    /* Each item of a record that goes by age or size. */
    void (*lost)(void *arg, struct str request);
    void *arg;
};

void spooler_init(struct spooler *s, struct rng *rng);
void spooler_fini(struct spooler *s);

void spooler_ask(struct spooler *s, enum spooler_op op, uint64_t seq, uint32_t items,
                 struct str payload);

/* Answers what was asked first. */
void spooler_work(struct spooler *s, struct lane *l, struct when now);

/* The process that has it dies: what was asked may have been done, or not. Without a
 * lane, the daemon has died as well. */
void spooler_die(struct spooler *s, struct lane *l, struct when now);

/* Drops the oldest record. */
void spooler_trim(struct spooler *s, unsigned reason);

#endif
