/* recovery: which action is to be taken when, for components that are unhealthy. Floor 3. No
 * I/O, no clock.
 *
 * Whatever a component does, an action runs at most `most` times in a window, at most once in
 * a cool-down for the same component, never twice at one time, and all actions together at
 * most `hourly` times an hour. One that has used up its runs gives up, and stays so until
 * everything it is for is well again and its window has room: what an action cannot mend it
 * does not go on trying. */
#ifndef MCPTALLY_WATCH_RECOVERY_H
#define MCPTALLY_WATCH_RECOVERY_H

#include "base/str.h"
#include "watch/health.h"

enum {
    RECOVERY_ACTIONS = OWN_MOST_ACTIONS,
    RECOVERY_EPISODES = 256, /* components that are unhealthy and looked after */
    RECOVERY_MOST = 32,      /* runs of an action in a window */
    RECOVERY_HOURLY = 256,
    RECOVERY_NAME = 48,
};

struct recovery_rules {
    struct str name;      /* at most RECOVERY_NAME - 1 bytes; borrowed, like those below */
    const struct str *on; /* components: name, service/name, or * */
    unsigned non;
    uint64_t cooldown, window; /* ns */
    unsigned most;             /* at most RECOVERY_MOST */
};

struct recovery_action {
    struct recovery_rules rules;
    uint64_t runs[RECOVERY_MOST]; /* when, oldest first: those of the window */
    unsigned nruns;
    bool running, given_up;
    uint64_t total; /* runs */
    uint64_t last;  /* when the newest began, mono ns; 0: never */
    bool has_outcome;
    enum own_action outcome;                        /* of the newest that has ended */
    char component[LIMIT_SERVICE + LIMIT_NAME + 2]; /* that it was for: service/name */
};

/* A component that is unhealthy. */
struct recovery_episode {
    bool open;
    uint32_t part;
    unsigned domain;
    char service[LIMIT_SERVICE + 1], component[LIMIT_NAME + 1], reason[HEALTH_MESSAGE + 1];
    uint64_t next[RECOVERY_ACTIONS]; /* when it may be acted on again */
    uint32_t actions;                /* mask: whose rules name it */
};

struct recovery {
    bool enabled;
    unsigned hourly;
    unsigned n;
    struct recovery_action actions[RECOVERY_ACTIONS];
    struct recovery_episode episodes[RECOVERY_EPISODES];
    uint64_t left_out;              /* components for which there was no room */
    uint64_t hour[RECOVERY_HOURLY]; /* runs of all, a ring */
    uint64_t nhour;
    uint64_t now; /* of the calls of recovery_move() */
};

/* The rules, at the start and after a reload; an action is known again by its name, and what
 * had given up may try again. `now`: what is unhealthy already waits for a cool-down. */
void recovery_configure(struct recovery *r, bool enabled, unsigned hourly,
                        const struct recovery_rules *rules, unsigned n, uint64_t now);

/* A health_moved: set r->now before. From UNHEALTHY to itself: it was so before we came. */
void recovery_move(void *arg, const struct health_move *m);

/* What is to be done now. */
struct recovery_job {
    unsigned action;
    enum own_action what; /* LIMITED, GAVE_UP: to be said; else to be carried out */
    const struct recovery_episode *episode; /* good until the next call */
};

/* False when nothing is. One that is to be carried out runs until recovery_ended(), which
 * says nothing of an action that is gone. */
bool recovery_next(struct recovery *r, uint64_t now, struct recovery_job *job);
void recovery_ended(struct recovery *r, struct str name, enum own_action outcome);

#endif
