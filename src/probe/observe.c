#include "probe/observe.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/event.h"
#include "serve/procfile.h"
#include "store/commit.h"
#include "store/series.h"
#include "wire/decode.h"

enum {
    READS = 4,      /* processes of one round: about 0.1 ms */
    FDS_MAX = 1024, /* entries that are counted one by one, where the kernel does not */
    FIELDS = 22,    /* of /proc/PID/stat that come after the name */
};

enum {
    FIELD_PARENT = 1,
    FIELD_UTIME = 11,
    FIELD_STIME,
    FIELD_THREADS = 17,
    FIELD_START = 19,
    FIELD_RSS = 21
};

struct process {
    uint32_t pid;    /* 0: the slot is free */
    uint32_t server; /* that it observes, for one of mcptally-run(1); else its own pid */
    char service[LIMIT_SERVICE + 1];
    bool seen, hidden, named;
    double cpu, start; /* s */
    uint64_t resident, fds, threads;
};

struct observed {
    struct own *own;
    unsigned most, next;
    double tick;   /* s of a unit of the kernel's */
    uint64_t page; /* bytes */
    struct process all[OWN_MOST_PROCESSES];
};

/* ---- who is there ---- */

struct observed *observed_new(struct own *own)
{
    struct observed *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->own = own;
    o->tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    o->page = (uint64_t)sysconf(_SC_PAGESIZE);
    own_sweep_names(own, OWN_KIND_PROCESSES);
    return o;
}

void observed_free(struct observed *o)
{
    free(o);
}

void observed_begin(struct observed *o, unsigned most)
{
    o->most = most;
    for (struct process *p = o->all; p < o->all + OWN_MOST_PROCESSES; p++)
        p->seen = false;
}

static struct process *find(struct observed *o, uint32_t pid)
{
    for (struct process *p = o->all; p < o->all + o->most; p++)
        if (p->pid == pid)
            return p;
    return NULL;
}

void observed_see(struct observed *o, uint32_t pid, struct str service)
{
    struct process *p = pid ? find(o, pid) : NULL;
    if (!p && pid && (p = find(o, 0)) != NULL) {
        *p = (struct process){.pid = pid};
        snprintf(p->service, sizeof p->service, "%.*s", STR_ARG(service));
    }
    if (p)
        p->seen = true;
}

/* One that is wrapped and reports itself too is known twice, and must not have its series
 * twice: they end with the first of the two that goes. */
static bool is_taken(const struct observed *o, struct str labels)
{
    for (unsigned i = 0; i < OWN_MOST_PROCESSES; i++)
        if (str_eq(str_of(o->own->names[OWN_KIND_PROCESSES][i]), labels))
            return true;
    return false;
}

/* Its series are made once there is something to show. */
static void name_it(struct observed *o, struct process *p, struct when now)
{
    char pid[16];
    struct buf labels;
    snprintf(pid, sizeof pid, "%" PRIu32, p->server);
    struct label pair[] = {{STR("pid"), str_of(pid)}, {STR("service"), str_of(p->service)}};
    buf_init(&labels, OWN_TEXT - 1);
    labels_canonical(&labels, pair, 2);
    if (!labels.failed && !is_taken(o, buf_str(&labels))) {
        (void)own_name(o->own, OWN_KIND_PROCESSES, (unsigned)(p - o->all), buf_str(&labels), now);
        p->named = true;
    }
    buf_fini(&labels);
}

static void leave(struct observed *o, struct process *p)
{
    if (p->named)
        own_forget_name(o->own, OWN_KIND_PROCESSES, (unsigned)(p - o->all), true);
    *p = (struct process){0};
}

/* ---- reading ---- */

/* The fields after the name, which ends with the last parenthesis; and whether it is ours. */
static bool read_fields(uint32_t pid, uint64_t fields[FIELDS], bool *wrapper)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
    if (!procfile_read(path, text, sizeof text))
        return false;
    const char *at = strrchr(text, ')');
    if (!at || !at[1])
        return false;
    *wrapper = strstr(text, "(mcptally-watch)") != NULL;
    at += 3; /* the state, a letter */
    for (unsigned i = 1; i < FIELDS; i++) {
        char *end;
        fields[i] = strtoull(at, &end, 10); /* negative ones are not looked at */
        if (end == at)
            return false;
        at = end;
    }
    return true;
}

/* The wrapper's relay has two children: the observer, which is connected to us, and the
 * server. The observer's own pid where that cannot be seen. */
static uint32_t server_of(uint32_t observer, uint64_t relay)
{
    char path[96], text[256], *end;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/task/%" PRIu64 "/children", relay, relay);
    if (!procfile_read(path, text, sizeof text))
        return observer;
    for (const char *at = text;; at = end) {
        const unsigned long child = strtoul(at, &end, 10);
        if (end == at)
            return observer;
        if (child != observer && child > 0 && child <= UINT32_MAX)
            return (uint32_t)child;
    }
}

static uint64_t count_fds(uint32_t pid)
{
    char path[64];
    struct stat st;
    uint64_t n = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/fd", pid);
    if (stat(path, &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size; /* since Linux 6.2 */
    DIR *d = opendir(path);
    while (d && n < FDS_MAX && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 2 ? n - 2 : 0;
}

static void read_one(struct observed *o, struct process *p, struct when now)
{
    uint64_t f[FIELDS];
    bool wrapper;
    p->hidden = !read_fields(p->server ? p->server : p->pid, f, &wrapper);
    if (p->hidden)
        return;
    if (!p->server) {
        p->server = wrapper ? server_of(p->pid, f[FIELD_PARENT]) : p->pid;
        read_one(o, p, now);
        return;
    }
    if (!p->named)
        name_it(o, p, now);
    p->cpu = (double)(f[FIELD_UTIME] + f[FIELD_STIME]) * o->tick;
    p->threads = f[FIELD_THREADS];
    p->resident = f[FIELD_RSS] * o->page;
    p->start = (double)(now.wall - now.mono) / (double)NS_PER_S + (double)f[FIELD_START] * o->tick;
    p->fds = count_fds(p->server);
    const unsigned slot = (unsigned)(p - o->all);
    own_setf_at(o->own, OWN_OBSERVED_CPU, slot, p->cpu);
    own_setf_at(o->own, OWN_OBSERVED_START, slot, p->start);
    own_set(o->own, OWN_OBSERVED_RSS, slot, p->resident);
    own_set(o->own, OWN_OBSERVED_FDS, slot, p->fds);
    own_set(o->own, OWN_OBSERVED_THREADS, slot, p->threads);
    store_commit(o->own->st);
}

static unsigned count(const struct observed *o, bool hidden)
{
    unsigned n = 0;
    for (const struct process *p = o->all; p < o->all + OWN_MOST_PROCESSES; p++)
        n += p->pid && p->hidden == hidden;
    return n;
}

void observed_end(struct observed *o, struct when now)
{
    for (struct process *p = o->all; p < o->all + OWN_MOST_PROCESSES; p++)
        if (p->pid && !p->seen)
            leave(o, p);
    unsigned reads = READS;
    for (unsigned i = 0; i < OWN_MOST_PROCESSES && reads > 0; i++) {
        struct process *p = &o->all[o->next++ % OWN_MOST_PROCESSES];
        if (!p->pid)
            continue;
        read_one(o, p, now);
        reads--;
    }
    own_set(o->own, OWN_OBSERVED, 0, count(o, false));
    own_set(o->own, OWN_OBSERVED_HIDDEN, 0, count(o, true));
    store_commit(o->own->st);
}

/* ---- what is shown ---- */

static void put_one(const struct process *p, struct json_writer *j)
{
    json_put_object(j, NULL);
    json_put_u64(j, "pid", p->server);
    json_put_text(j, "service", p->service);
    json_put_f64(j, "cpu_seconds", p->cpu);
    json_put_u64(j, "resident_bytes", p->resident);
    json_put_u64(j, "open_fds", p->fds);
    json_put_u64(j, "threads", p->threads);
    json_put_f64(j, "start", p->start);
    json_end_object(j);
}

void observed_put(const struct observed *o, struct json_writer *j)
{
    json_put_array(j, "processes");
    for (const struct process *p = o->all; p < o->all + OWN_MOST_PROCESSES; p++)
        if (p->pid && p->named && !p->hidden)
            put_one(p, j);
    json_end_array(j);
    json_put_u64(j, "processes_hidden", count(o, true));
}
