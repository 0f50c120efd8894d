/* part: the health of one watched component, as a state machine. Floor 3. Pure:
 * no store, no clock.
 *
 * A report of `unhealthy` is a failure, and so is every report that does not
 * come. One failure makes a component degraded, enough of them in a row make it
 * unhealthy; good reports have to last before it counts as healthy again. */
#ifndef MCPTALLY_WATCH_PART_H
#define MCPTALLY_WATCH_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "model/event.h"

/* The numbers are in the store. X(SYMBOL, shown as, what is true in it) */
#define PART_PHASE_TABLE(X)                                                                        \
    X(NEW, HEALTH_UNKNOWN, "it has not reported a state, or reports not to know it")               \
    X(HEALTHY, HEALTH_HEALTHY, "its reports are good and come in time")                            \
    X(DEGRADED, HEALTH_DEGRADED, "it says so, or failed, but not yet often enough in a row")       \
    X(UNHEALTHY, HEALTH_UNHEALTHY, "it failed as often in a row as it may")                        \
    X(RECOVERING, HEALTH_DEGRADED, "it reports to be healthy again, for less than the recovery")

enum part_phase {
#define X(sym, shown, help) PART_##sym,
    PART_PHASE_TABLE(X)
#undef X
        PART_PHASES
};

struct part_rules {
    uint64_t interval;  /* ns from one report to the next */
    uint64_t timeout;   /* ns that one may come late */
    uint64_t recovery;  /* ns */
    unsigned failures;  /* in a row that make it unhealthy; at least 1 */
    unsigned successes; /* in a row that end the recovery, beside the time; 0 and 1 alike */
};

struct part {
    enum part_phase phase;
    enum health_state reported; /* in the newest report */
    unsigned failures;          /* in a row, missing reports included */
    unsigned missed;            /* reports missing since the newest one */
    unsigned successes;         /* good reports in a row */
    uint64_t heard;             /* mono ns of the newest report */
    uint64_t changed;           /* mono ns when it entered the phase */
};

/* Whether one phase may follow another. */
bool part_may(enum part_phase from, enum part_phase to);

/* What is shown of a component in this phase. */
enum health_state part_shown(enum part_phase phase);

/* A report has come in. */
void part_report(struct part *p, const struct part_rules *r, enum health_state state, uint64_t now);

/* Time has passed. Silence counts from `since` if that is later than the newest
 * report: nobody could report while the daemon was away. */
void part_tick(struct part *p, const struct part_rules *r, uint64_t since, uint64_t now);

#endif
