/* check: when active checks run, and what their results come to. Floor 3. No I/O, no clock.
 *
 * A check never runs twice at one time, and at most so many run together: one whose turn
 * comes meanwhile waits, and that is counted. The first runs are spread over the interval,
 * up to CHECK_SPREAD, and every interval differs a little, so that checks that begin
 * together do not stay together. */
#ifndef MCPTALLY_WATCH_CHECK_H
#define MCPTALLY_WATCH_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/event.h"
#include "pipeline/own.h"

enum { CHECK_MAX = OWN_MOST_CHECKS };

#define CHECK_SPREAD (10 * NS_PER_S)

/* What the component of a check is told of a result; of NOT_RUN nothing should be. */
enum health_state check_state(enum own_result result);

/* X(SYMBOL, "word", what it looks at) */
#define CHECK_KIND_TABLE(X)                                                                        \
    X(PROCESS, "process", "a process, or a unit of systemd, is alive")                             \
    X(UNIX, "unix", "a Unix socket takes a connection")                                            \
    X(TCP, "tcp", "a TCP port takes a connection")                                                 \
    X(HTTP, "http", "an HTTP server answers as it should")                                         \
    X(MCP, "mcp", "an MCP server answers server/discover or ping")                                 \
    X(COMMAND, "command", "a command exits with status 0")

enum check_kind {
#define X(sym, word, help) CHECK_##sym,
    CHECK_KIND_TABLE(X)
#undef X
        CHECK_KINDS
};

const char *check_kind_name(unsigned kind);
int check_kind_of(const char *word); /* -1: none */

/* One check in the schedule. */
struct check_slot {
    uint64_t interval; /* ns */
    uint64_t due;      /* mono ns */
    uint64_t began;    /* of the run in hand */
    uint64_t good;     /* when the newest good run began; 0: none */
    uint64_t sick;     /* when it became unhealthy; 0: it is not, or that is not known */
    uint64_t noise;    /* where its deviations come from */
    bool running;
};

struct check_schedule {
    unsigned n, running, most;
    uint64_t freed;   /* when there was room again after there was none */
    uint64_t delayed; /* turns that had to wait for room */
    struct check_slot slots[CHECK_MAX];
};

/* At most `most` at one time. */
void check_schedule_init(struct check_schedule *s, unsigned most);

/* Adds one; `noise` differs from check to check. Returns its index. */
unsigned check_schedule_add(struct check_schedule *s, uint64_t interval, uint64_t noise,
                            uint64_t now);

/* The check whose turn it is, the one first that waited longest; it runs from now on. -1:
 * none. */
int check_schedule_begin(struct check_schedule *s, uint64_t now);

/* Its run has ended. */
void check_schedule_end(struct check_schedule *s, unsigned i, uint64_t now);

/* ns until check_schedule_begin() may have one; UINT64_MAX: not before a run ends. */
uint64_t check_schedule_wait(const struct check_schedule *s, uint64_t now);

/* How long it took, in ns; 0: nothing to tell. */
struct check_times {
    uint64_t detected;  /* from the newest good run to unhealthy */
    uint64_t recovered; /* from unhealthy to healthy */
};

/* After the result of the run in hand: its component's shown state was `from`, is `to`. */
struct check_times check_note(struct check_slot *s, enum own_result result, enum health_state from,
                              enum health_state to, uint64_t now);

#endif
