/* helper: the one process that may block, and how the loop asks it. Floor 4.
 *
 * Forked before the store is mapped, over a socketpair with bounded messages. It
 * resolves names, reads small files (certificates), keeps the spools, runs commands and asks
 * the file system how full it is. When it
 * dies it is forked again by a process without the store (itself a child that only
 * forks), and every question that was open is answered with -ERR_CLOSED; an append
 * that is answered so may have been kept all the same. Spools that were open are opened
 * again. Callbacks come from the loop, never from inside the call that asked. What
 * waits, and its bytes, is bounded: beyond that a question is answered with -ERR_FULL. */
#ifndef MCPTALLY_HELPER_HELPER_H
#define MCPTALLY_HELPER_HELPER_H

#include <event2/event.h>
#include <sys/socket.h>

#include "base/err.h"
#include "mcp/era.h"
#include "spool/spool.h"

struct helper;

enum {
    HELPER_PAYLOAD = 8 << 20,
    HELPER_FILE = 4 << 20,
    HELPER_ADDRESSES = 16,
    HELPER_SPOOLS = 64,          /* names of spools */
    HELPER_LINES = 1 << 20,      /* bytes of lines that are added at once */
    HELPER_TAIL = 16384,         /* bytes of the end of a file of lines */
    HELPER_CALLS = 1024,         /* questions open at one time */
    HELPER_BYTES = 32 << 20,     /* of them all */
    HELPER_RUNS = 32,            /* commands at one time; a further one is -ERR_FULL */
    HELPER_RUN_TEXTS = 64,       /* arguments of a command, and as many variables */
    HELPER_RUN_BYTES = 32 << 10, /* of them all, NULs included */
    HELPER_RUN_OUTPUT = 1 << 20, /* that a command may write at most */
};
#define HELPER_RESOLVE_NS (10 * NS_PER_S) /* then it is -ERR_TIMEOUT */

/* Forks. To be called before threads, the store or sockets are there. NULL with errno. */
struct helper *helper_new(const char *state_dir);

/* Joins the loop; questions may be asked from here on. 0 or -ERR_NOMEM. */
int helper_start(struct helper *h, struct event_base *base);

/* Questions that are open are never answered; what was sent is still done. Not to be
 * called from a callback. */
void helper_free(struct helper *h);

/* Waits for the helper at most so long and takes its answers, apart from the loop: at the
 * end, when nothing else of it may run any more. */
void helper_turn(struct helper *h, int ms);

/* Has a gate forked (gate/gate.h), whose end of a socket is `fd`. 0, -ERR_CLOSED, -ERR_FULL. */
int helper_fork_gate(struct helper *h, int fd);

bool helper_alive(const struct helper *h);
uint64_t helper_restarts(const struct helper *h);
pid_t helper_pid(const struct helper *h); /* 0: not known, or dead */
unsigned helper_open_calls(const struct helper *h);

/* A question that is not answered yet; helper_forget() so that it never will be. It is
 * gone when its callback returns. NULL from a function below: no memory, and no callback. */
struct helper_call;
void helper_forget(struct helper_call *c);

/* Names. error: 0, -ERR_NOTFOUND, -ERR_TIMEOUT, -ERR_CLOSED, -ERR_FULL (too many open),
 * -ERR_IO. The port is in the addresses. */
typedef void helper_resolved(void *arg, int error, const struct sockaddr_storage *addresses,
                             unsigned n);
struct helper_call *helper_resolve(struct helper *h, const char *host, uint16_t port,
                                   helper_resolved *done, void *arg);

/* Files of at most HELPER_FILE bytes. error: -ERR_NOTFOUND, -ERR_PERM, -ERR_RANGE ... */
typedef void helper_file(void *arg, int error, struct str bytes);
struct helper_call *helper_read_file(struct helper *h, const char *path, helper_file *done,
                                     void *arg);

/* How full the file system of the state directory is: bytes used and left to us, and left.
 * error: 0, -ERR_IO, ... */
typedef void helper_disk(void *arg, int error, uint64_t size, uint64_t avail);
struct helper_call *helper_disk_usage(struct helper *h, helper_disk *done, void *arg);

/* Commands. One runs in a process group of its own, which is ended with it: SIGTERM, then
 * SIGKILL half a second later. It has no environment but what is given and PATH, no open
 * files but its standard ones, and writes to us alone. */
struct helper_command {
    struct str argv;  /* each followed by a NUL; the first is an absolute path */
    struct str env;   /* NAME=value, likewise */
    uint64_t timeout; /* ns */
    unsigned cpu;     /* seconds of CPU time of each process; 0: no limit */
    uint32_t output;  /* bytes that it may write */
    bool mcp;         /* it is an MCP server: asked, then ended */
    enum mcp_era era;
};
struct helper_ran {
    int error;   /* 0; -ERR_NOTFOUND, -ERR_PERM, -ERR_IO: it did not begin; -ERR_TIMEOUT;
                    -ERR_RANGE: it wrote too much; -ERR_FULL, -ERR_CLOSED: never begun, or lost */
    bool exited; /* by itself, with `status`; else `status` is a signal, or 0 */
    int status;
    enum mcp_ask_state asked; /* of an MCP server */
    struct str output;        /* the first bytes; of an MCP server why it is BAD */
};
typedef void helper_run_done(void *arg, const struct helper_ran *r);
struct helper_call *helper_run(struct helper *h, const struct helper_command *command,
                               helper_run_done *done, void *arg);

/* Files of lines that only grow: the log, the audit log. `slot` is 0 or 1. */
enum { HELPER_LINE_FILES = 2 };
struct helper_lines_options {
    unsigned mode;  /* of a new file */
    uint64_t bytes; /* a file that would grow beyond is renamed to PATH.old; 0: never */
    bool sync;      /* lines are on the disk before the answer */
};
/* error: 0, -ERR_PERM, -ERR_NOTFOUND, -ERR_FULL ... ; tail: of an open, the end of the file,
 * at most HELPER_TAIL bytes of it. */
typedef void helper_lines_done(void *arg, int error, struct str tail);

/* Opens, or opens again, a file; directories that lead into the state directory are made. */
struct helper_call *helper_lines_open(struct helper *h, unsigned slot, const char *path,
                                      const struct helper_lines_options *o, helper_lines_done *done,
                                      void *arg);
/* Adds whole lines at the end: all of them, or none with an error. A file that is no longer
 * at its path is opened anew first. -ERR_NOTFOUND: the slot is not open, as in a helper that
 * has taken the place of another. */
struct helper_call *helper_lines_add(struct helper *h, unsigned slot, struct str lines,
                                     helper_lines_done *done, void *arg);

/* Spools, one directory under state_dir/spool each. `stats` comes with every answer of a
 * spool that is open; every question but an append also drops what is too old. error: as
 * of spool/spool.h; -ERR_BUSY: a helper that is about to end has the spool, try again;
 * -ERR_NOTFOUND: never opened. */
struct helper_spool_answer {
    int error;
    uint64_t seq;
    struct spool_stats stats;
    struct spool_record record; /* of a read; payload good during the call. seq 0: none */
};
typedef void helper_spool_done(void *arg, const struct helper_spool_answer *a);

struct helper_call *helper_spool_open(struct helper *h, const char *name,
                                      const struct spool_options *o, helper_spool_done *done,
                                      void *arg);
/* Appends and syncs (a run of appends that wait together is synced once). Copies. */
struct helper_call *helper_spool_append(struct helper *h, const char *name, unsigned signal,
                                        uint32_t items, struct str payload, helper_spool_done *done,
                                        void *arg);
struct helper_call *helper_spool_read(struct helper *h, const char *name, uint64_t seq,
                                      helper_spool_done *done, void *arg);
struct helper_call *helper_spool_finish(struct helper *h, const char *name, uint64_t seq,
                                        helper_spool_done *done, void *arg);

#endif
