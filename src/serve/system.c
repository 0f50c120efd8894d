#include "serve/system.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "serve/procfile.h"

enum { FILE_MAX = 4096, PATH_SIZE = 512 };
#define DISK_EVERY (10 * NS_PER_S)

#define CGROUP_ROOT "/sys/fs/cgroup"

/* The path of our control group (version 2 only), without its leading slash. */
static bool find_cgroup(char *to, size_t size)
{
    char text[FILE_MAX];
    if (!procfile_read("/proc/self/cgroup", text, sizeof text))
        return false;
    const char *at = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (!at)
        return false;
    at = strchr(at, '/') + 1;
    return (size_t)snprintf(to, size, "%.*s", (int)strcspn(at, "\n"), at) < size;
}

static bool read_cgroup_number(const char *cgroup, const char *file, uint64_t *out)
{
    char path[PATH_SIZE + 64], text[64];
    snprintf(path, sizeof path, CGROUP_ROOT "/%s/%s", cgroup, file);
    return procfile_read(path, text, sizeof text) && procfile_number(text, "", out);
}

/* The tightest limit of our group and those above it, and that group's use. */
static bool read_cgroup(struct system_figures *out)
{
    char cgroup[PATH_SIZE];
    uint64_t limit, used;
    bool found = false;
    if (!find_cgroup(cgroup, sizeof cgroup))
        return false;
    for (;;) {
        if (read_cgroup_number(cgroup, "memory.max", &limit) &&
            read_cgroup_number(cgroup, "memory.current", &used) &&
            (!found || limit < out->memory_limit)) {
            out->memory_limit = limit;
            out->memory_used = used;
            found = true;
        }
        char *slash = strrchr(cgroup, '/');
        if (!cgroup[0])
            return found;
        *(slash ? slash : cgroup) = '\0';
    }
}

static void read_machine(struct system_figures *out)
{
    char text[FILE_MAX];
    uint64_t total, available;
    if (!procfile_read("/proc/meminfo", text, sizeof text) ||
        !procfile_number(text, "MemTotal:", &total) ||
        !procfile_number(text, "MemAvailable:", &available))
        return;
    out->memory_limit = total * 1024;
    out->memory_used = available < total ? (total - available) * 1024 : 0;
}

static void read_process(struct system_figures *out)
{
    char text[256];
    uint64_t resident;
    const char *second;
    if (procfile_read("/proc/self/statm", text, sizeof text) &&
        (second = strchr(text, ' ')) != NULL && procfile_number(second, "", &resident))
        out->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- CPU ---- */

/* Units of CPU time used and there were, since whenever: of the control group where a quota
 * limits it, in microseconds; else of the machine. */
static bool read_quota(uint64_t mono, uint64_t *used, uint64_t *all)
{
    char cgroup[PATH_SIZE], path[PATH_SIZE + 64], text[FILE_MAX];
    uint64_t quota, period;
    if (!find_cgroup(cgroup, sizeof cgroup))
        return false;
    snprintf(path, sizeof path, CGROUP_ROOT "/%s/cpu.max", cgroup);
    if (!procfile_read(path, text, sizeof text) ||
        sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0)
        return false;
    snprintf(path, sizeof path, CGROUP_ROOT "/%s/cpu.stat", cgroup);
    if (!procfile_read(path, text, sizeof text) || !procfile_number(text, "usage_usec", used))
        return false;
    *all = (uint64_t)((double)(mono / NS_PER_US) * (double)quota / (double)period);
    return true;
}

/* user nice system idle iowait irq softirq steal */
static bool read_cpu(uint64_t *used, uint64_t *all)
{
    char text[FILE_MAX];
    uint64_t t[8] = {0};
    if (!procfile_read("/proc/stat", text, sizeof text) ||
        sscanf(text,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
        return false;
    *used = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    *all = *used + t[3] + t[4];
    return true;
}

/* Over the last minute; not known before one has passed, for a second says little. */
static void note_cpu(struct system *s, uint64_t mono)
{
    uint64_t used = 0, all = 0;
    s->now.cpu_cgroup = read_quota(mono, &used, &all);
    s->now.cpu = -1;
    if (!s->now.cpu_cgroup && !read_cpu(&used, &all))
        return;
    const unsigned at = s->n % (SYSTEM_MINUTE + 1), first = (s->n + 1) % (SYSTEM_MINUTE + 1);
    s->cpu[at].used = used;
    s->cpu[at].all = all;
    if (s->n++ >= SYSTEM_MINUTE && all > s->cpu[first].all && used >= s->cpu[first].used)
        s->now.cpu = (double)(used - s->cpu[first].used) / (double)(all - s->cpu[first].all);
    if (s->now.cpu > 1)
        s->now.cpu = 1; /* a quota may be overdrawn for a moment */
}

/* ---- load and files ---- */

static void read_load(struct system_figures *out)
{
    char text[256];
    if (procfile_read("/proc/loadavg", text, sizeof text))
        (void)!sscanf(text, "%*f %*f %*f %" SCNu64, &out->runnable);
    if (procfile_read("/proc/sys/fs/file-nr", text, sizeof text))
        (void)!sscanf(text, "%" SCNu64 " %*u %" SCNu64, &out->files, &out->files_max);
}

static void read_descriptors(struct system_figures *out)
{
    struct rlimit r;
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        out->fds = (uint64_t)st.st_size; /* since Linux 6.2: to walk them takes too long here */
    if (getrlimit(RLIMIT_NOFILE, &r) == 0)
        out->fds_max = r.rlim_cur;
}

static void read_info(struct system_figures *out)
{
    struct sysinfo info;
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    out->cpus = cpus > 0 ? (unsigned)cpus : 1;
    if (sysinfo(&info) < 0)
        return;
    out->processes = info.procs;
    out->machine_uptime = (double)info.uptime;
    for (int i = 0; i < 3; i++)
        out->load[i] = (double)info.loads[i] / (1 << SI_LOAD_SHIFT);
}

/* ---- the disk ---- */

static void on_disk(void *arg, int error, uint64_t size, uint64_t avail)
{
    struct system *s = arg;
    s->disk = NULL;
    s->now.disk_size = error ? 0 : size;
    s->now.disk_avail = error ? 0 : avail < size ? avail : size;
}

static void ask_disk(struct system *s, struct helper *helper, uint64_t mono)
{
    if (s->disk || (s->asked && mono - s->asked < DISK_EVERY))
        return;
    s->asked = mono;
    s->disk = helper_disk_usage(helper, on_disk, s);
}

/* ---- all of it ---- */

void system_tick(struct system *s, struct helper *helper, struct when now)
{
    const struct system_figures before = s->now;
    s->now =
        (struct system_figures){.disk_size = before.disk_size, .disk_avail = before.disk_avail};
    s->now.memory_cgroup = read_cgroup(&s->now);
    if (!s->now.memory_cgroup)
        read_machine(&s->now);
    read_process(&s->now);
    read_info(&s->now);
    read_load(&s->now);
    read_descriptors(&s->now);
    note_cpu(s, now.mono);
    ask_disk(s, helper, now.mono);
}

void system_fini(struct system *s)
{
    helper_forget(s->disk);
    s->disk = NULL;
}

void system_refresh(const struct system *s, struct own *o)
{
    const struct system_figures *f = &s->now;
    if (f->cpu >= 0)
        own_setf(o, OWN_SYSTEM_CPU, f->cpu);
    own_setf(o, OWN_SYSTEM_LOAD, f->load[0]);
    own_set(o, OWN_SYSTEM_RUNNABLE, 0, f->runnable);
    own_set(o, OWN_SYSTEM_CPUS, 0, f->cpus);
    own_set(o, OWN_SYSTEM_MEMORY, 0, f->memory_used);
    own_set(o, OWN_SYSTEM_MEMORY_LIMIT, 0, f->memory_limit);
    own_set(o, OWN_SYSTEM_FILES, 0, f->files);
    own_set(o, OWN_SYSTEM_FILES_MAX, 0, f->files_max);
    own_set(o, OWN_STATE_DISK, 0, f->disk_size);
    own_set(o, OWN_STATE_DISK_AVAIL, 0, f->disk_avail);
}
