#include "serve/system.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "serve/procfile.h"

enum { FILE_MAX = 4096, PATH_SIZE = 512 };

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

void system_read(struct system_figures *out)
{
    struct sysinfo info;
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *out = (struct system_figures){.cpus = cpus > 0 ? (unsigned)cpus : 1};
    out->memory_cgroup = read_cgroup(out);
    if (!out->memory_cgroup)
        read_machine(out);
    read_process(out);
    if (sysinfo(&info) < 0)
        return;
    out->processes = info.procs;
    out->machine_uptime = (double)info.uptime;
    for (int i = 0; i < 3; i++)
        out->load[i] = (double)info.loads[i] / (1 << SI_LOAD_SHIFT);
}
