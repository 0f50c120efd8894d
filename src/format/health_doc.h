/* health_doc: what the health port and `mcptally` show of the daemon's health. Floor 3.
 *
 * The long form follows the application/health+json draft, with `checks` as an
 * array. */
#ifndef MCPTALLY_FORMAT_HEALTH_DOC_H
#define MCPTALLY_FORMAT_HEALTH_DOC_H

#include "base/clock.h"
#include "format/json.h"
#include "format/verdict.h"
#include "store/store.h"

struct buf;

/* The machine and the process, as far as they bear on health. */
struct system_figures {
    uint64_t memory_used, memory_limit; /* bytes, of the control group or the machine */
    bool memory_cgroup;
    uint64_t resident;  /* bytes, of the daemon */
    uint64_t processes; /* on the machine; threads count */
    unsigned cpus;
    double load[3];
    uint64_t runnable;              /* tasks that run or wait for a CPU */
    double cpu;                     /* share of the CPU time of the last minute; < 0: not yet */
    bool cpu_cgroup;                /* of the control group's quota */
    uint64_t files, files_max;      /* open on the machine */
    uint64_t fds, fds_max;          /* of the daemon; fds 0: not counted */
    uint64_t disk_size, disk_avail; /* of the state directory; 0: not known */
    double machine_uptime;          /* seconds */
};

/* {"status":"pass"} and a line end, with the failing checks when there are any. */
void health_short(struct buf *to, const struct verdict *v, unsigned gates);

struct health_info {
    const struct verdict *verdict;
    const char *version;
    uint64_t started;                    /* of the daemon, mono ns */
    const struct system_figures *system; /* NULL: left out */
    struct json_more more;
};

/* One JSON object and a line end; times are seconds, `since` since 1970. */
void health_document(struct buf *to, const struct store *st, const struct health_info *info,
                     struct when now);

#endif
