#include "serve/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/procfile.h"

double process_start_time(void)
{
    char text[1024];
    const struct when now = clock_now();
    uint64_t ticks;
    if (!procfile_read("/proc/self/stat", text, sizeof text))
        return 0;
    /* The name in parentheses may hold anything; field 22 comes 20 after it. */
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p || sscanf(p, "%" SCNu64, &ticks) != 1)
        return 0;
    const double up = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return (double)(now.wall - now.mono) / 1e9 + up;
}

static uint64_t count_fds(void)
{
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size; /* since Linux 6.2, without walking them */
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

void process_refresh(struct own *o, double start_time)
{
    char text[256];
    struct rusage use;
    struct rlimit fds;
    uint64_t virtual, resident;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (getrusage(RUSAGE_SELF, &use) == 0)
        own_setf(o, OWN_PROCESS_CPU, seconds(&use.ru_utime) + seconds(&use.ru_stime));
    if (procfile_read("/proc/self/statm", text, sizeof text) &&
        sscanf(text, "%" SCNu64 " %" SCNu64, &virtual, &resident) == 2) {
        own_set(o, OWN_PROCESS_VIRTUAL, 0, virtual * page);
        own_set(o, OWN_PROCESS_RSS, 0, resident * page);
    }
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        own_set(o, OWN_PROCESS_MAX_FDS, 0, fds.rlim_cur);
    own_set(o, OWN_PROCESS_FDS, 0, count_fds());
    own_setf(o, OWN_PROCESS_START, start_time);
}
