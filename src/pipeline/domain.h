/* domain: what a failure domain may do now. Floor 3. No I/O, no clock.
 *
 * Budgets: bytes, items and spans a second. Who is over one is read later; when that has
 * lasted longer than `defer`, what is read is dropped as rate_limited until the domain
 * has been read to the end once.
 *
 * Breaker: a window in which too much of what came was malformed opens it; daemons that
 * die one after the other with the domain's input in hand do so too (safe mode). While it
 * is open nobody is let in. After a rest, twice as long with each opening in a row, it is
 * half-open: a few connections may try, and when a while has passed without faults it
 * closes. A domain that is drained lets nobody in until it is reset.
 *
 * The state lies in the store and outlives the daemon; the levels of budgets and windows
 * do not. Every move is logged, counted and audited. */
#ifndef MCPTALLY_PIPELINE_DOMAIN_H
#define MCPTALLY_PIPELINE_DOMAIN_H

#include <stdbool.h>

#include "base/audit.h"
#include "base/clock.h"
#include "model/drop.h"
#include "store/store.h"

struct pipeline;

/* Numbers are in the store and in mcptally_domain_breaker_state. */
enum domain_state {
    DOMAIN_CLOSED,    /* served */
    DOMAIN_HALF_OPEN, /* the rest is over: a few may try */
    DOMAIN_OPEN,      /* refused until the rest is over */
    DOMAIN_STATES
};

/* Why it left closed. */
enum domain_cause { DOMAIN_NO_CAUSE, DOMAIN_FAULTS, DOMAIN_CRASHES, DOMAIN_CAUSES };

struct domain_options {
    uint64_t bytes, items, spans; /* a second; 0: no limit. Spans: that go into the ring */
    uint64_t defer;               /* ns that it is read later before items are dropped */
    bool breaker;
    uint64_t faults;          /* of one window that open it, when they are also ... */
    double share;             /* ... that share of what came in it, 0 to 1 */
    uint64_t window;          /* ns */
    uint64_t rest, rest_most; /* ns that it stays open: the first time, and at most */
    uint64_t probe;           /* ns that it is half-open without faults until it closes */
    unsigned probes;          /* connections that may try */
    unsigned crashes;         /* deaths in a row that put it aside; 0: never */
};

void domain_defaults(struct domain_options *o);

/* What an error of the protocol, which ends its connection, counts in faults. */
enum { DOMAIN_PROTOCOL_FAULT = 10 };

/* The writer's own, beside the records in the store. */
struct domain_now {
    uint64_t bytes, items, spans; /* mono ns at which each budget is even again */
    uint64_t pressed;             /* mono ns since when it waits without relief; 0: it does not */
    uint64_t window;              /* mono ns when the window began */
    uint64_t came, faulty;        /* in the window */
    uint64_t did, bad;            /* items, and faults among them, of the turn in hand */
};

struct domains {
    struct domain_now now[STORE_DOMAINS];
    /* Deficit round-robin, in bytes or what costs as much. One more: of those that have no
     * domain yet, at the index of the number of domains. */
    int64_t credit[STORE_DOMAINS + 1];
};

/* ---- state ---- */

enum domain_state domain_state(const struct store *st, unsigned d);
enum domain_cause domain_cause(const struct store *st, unsigned d);
bool domain_drained(const struct store *st, unsigned d);
const char *domain_state_name(unsigned state); /* "closed", "half_open", "open"; "unknown" */
const char *domain_cause_name(unsigned cause); /* "none", "faults", "crashes"; "unknown" */

/* The moves that there are. */
bool domain_moves(enum domain_state from, enum domain_state to);

/* Whether it is set aside because daemons died of it. */
bool domain_aside(const struct store *st, unsigned d);

/* Mono ns when what it is in now can end by itself; 0: never. */
uint64_t domain_until(const struct store *st, const struct domain_options *o, unsigned d);

/* Closed, its budgets full, its crashes forgotten, no longer drained. Commits; audited when
 * `who` is no peer, whose commands are audited as such. False when there is no such
 * domain. */
bool domain_reset(struct pipeline *pl, unsigned d, struct audit_who who, struct when now);

/* Nobody is let in until domain_reset(). Commits; false likewise. */
bool domain_drain(struct pipeline *pl, unsigned d, struct audit_who who, struct when now);

/* ---- life ---- */

/* The start of a daemon: time that nobody served is counted. Commits. */
void domain_init(struct pipeline *pl, struct when now);

/* Once a second: rests and probes end, availability is counted. Commits. */
void domain_tick(struct pipeline *pl, struct when now);

/* The daemon before died with its input in hand, as the store's head says. True when that
 * puts it aside. Before domain_init(); commits. */
bool domain_crashed(struct store *st, const struct domain_options *o, unsigned d, struct when now);

/* Brings its metrics up to date inside the open batch. */
void domain_refresh(struct pipeline *pl, unsigned d);

/* ---- availability ---- */

enum domain_window { DOMAIN_HOUR, DOMAIN_DAY, DOMAIN_MONTH, DOMAIN_WINDOWS };
const char *domain_window_name(unsigned w); /* "1h", "24h", "30d"; "unknown" */

/* Share of the time that it was closed and served, 0 to 1; 1 when it is new. */
double domain_available(const struct store *st, unsigned d, enum domain_window w, uint64_t mono);

/* ---- admission ---- */

/* Whether a connection, or a request of OTLP, may begin; if not *retry is how many ns
 * later it is worth another try. */
bool domain_admits(const struct pipeline *pl, unsigned d, struct when now, uint64_t *retry);

/* Whether what is connected is to end: at once, or when it is read to the end. */
bool domain_shuts(const struct store *st, unsigned d);
bool domain_empties(const struct store *st, unsigned d);

/* ---- budgets ---- */

enum domain_pace {
    DOMAIN_GO,
    DOMAIN_LATER, /* at domain_even() */
    DOMAIN_DROP,  /* read it, and drop it as rate_limited */
};

enum domain_pace domain_pace(struct pipeline *pl, unsigned d, struct when now);

/* Mono ns when it is within its budgets again. */
uint64_t domain_even(const struct pipeline *pl, unsigned d);

/* It has been read to the end: what comes next is another burst. */
void domain_relieved(struct pipeline *pl, unsigned d);

/* What was read, and items that were done. */
void domain_charge(struct pipeline *pl, unsigned d, uint64_t items, struct when now);
void domain_read(struct pipeline *pl, unsigned d, uint64_t bytes, struct when now);

/* Whether one span more may go into the ring; it is charged then. */
bool domain_span(struct pipeline *pl, unsigned d, struct when now);

/* ---- turns ---- */

enum {
    DOMAIN_QUANTUM = 16384,          /* bytes that each is granted in a round */
    DOMAIN_DEBT = 8 * DOMAIN_QUANTUM /* more than that is forgiven */
};

/* Work of a domain: a frame that costs more counts more. Who has none left waits for the
 * next round, which begins when all that wait have none. */
void domain_spend(struct pipeline *pl, unsigned d, uint64_t cost);
bool domain_has_turn(const struct pipeline *pl, unsigned d);
void domain_next_round(struct pipeline *pl);

/* ---- faults ---- */

/* Whether an item that was dropped for this reason is a fault of its sender's form. */
bool domain_is_fault(enum drop_reason why);

/* Items that were dealt with, and how many of them were such faults. */
void domain_did(struct pipeline *pl, unsigned d, uint64_t items, uint64_t faults);

/* The end of a turn of its work, at a commit: charges what was done, and opens the breaker
 * when the window asks for that. */
void domain_turned(struct pipeline *pl, unsigned d, struct when now);

#endif
