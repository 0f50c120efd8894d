/* plan: what an active check looks at, and what it takes for good. Floor 4. Texts are
 * borrowed. */
#ifndef MCPTALLY_PROBE_PLAN_H
#define MCPTALLY_PROBE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "mcp/era.h"
#include "watch/check.h"

enum {
    PLAN_HEADERS = 16,
    PLAN_STATUSES = 8,
    PLAN_OUTPUT = 64 << 10, /* bytes of an answer, unless it is said otherwise */
};

struct plan_header {
    const char *name, *value;
};

struct plan_range {
    unsigned from, to; /* HTTP statuses, both included */
};

struct plan {
    enum check_kind kind;
    uint64_t timeout; /* ns */
    uint32_t output;  /* bytes that may be answered */

    const char *pid_file, *process, *cgroup; /* PROCESS: one of them; else NULL */
    const char *path;                        /* UNIX */
    const char *host;                        /* TCP, without brackets */
    uint16_t port;

    const char *url;     /* HTTP, and MCP over HTTP; else NULL */
    bool head;           /* HTTP: by HEAD, not GET */
    const char *ca_file; /* NULL: the system's */
    bool insecure_skip_verify;
    unsigned nheaders, nstatuses;
    struct plan_header headers[PLAN_HEADERS];
    struct plan_range statuses[PLAN_STATUSES];
    struct str body; /* that has to be in it; empty: nothing */

    struct str argv, env; /* COMMAND, and MCP over stdio: see struct helper_command */
    unsigned cpu;         /* seconds; 0: no limit */
    enum mcp_era era;
};

#endif
