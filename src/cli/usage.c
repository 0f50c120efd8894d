#include "cli/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tree {
    unsigned n;
    pid_t pid[USAGE_PROCESSES];
};

/* Reads a small file of /proc whole and ends it with a NUL; false when it is gone. */
static bool read_proc(char *to, size_t size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    to[n] = 0;
    return true;
}

/* Calls `each` for every name in a folder, if given, and returns their number.
 * readdir() would keep 32 KiB on the heap of a process that is to stay small. */
static unsigned walk(const char *path, void (*each)(void *arg, const char *name), void *arg)
{
    _Alignas(struct dirent64) char block[1024];
    unsigned names = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && (n = getdents64(fd, block, sizeof block)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)(block + at);
            at += entry->d_reclen;
            if (entry->d_name[0] == '.')
                continue;
            names++;
            if (each)
                each(arg, entry->d_name);
        }
    }
    if (fd >= 0)
        close(fd);
    return names;
}

static void add_children(void *arg, const char *task)
{
    struct tree *t = arg;
    char path[64], list[1024], *p = list;
    /* Every task has a folder of its own under /proc too, though not a listed one. */
    snprintf(path, sizeof path, "/proc/%.16s/task/%.16s/children", task, task);
    if (!read_proc(list, sizeof list, path))
        return;
    while (t->n < USAGE_PROCESSES) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p || pid <= 0)
            return;
        t->pid[t->n++] = (pid_t)pid;
        p = end;
    }
}

/* The times in ticks: user, system, and both of children waited for. The name
 * in front may hold anything, so they are counted from its last bracket. */
static double cpu_of(const char *stat)
{
    const char *p = strrchr(stat, ')');
    unsigned long long times[4];
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
                     &times[0], &times[1], &times[2], &times[3]) != 4)
        return 0;
    return (double)(times[0] + times[1] + times[2] + times[3]) / (double)sysconf(_SC_CLK_TCK);
}

static bool add_process(struct usage *u, pid_t pid)
{
    char path[64], text[1024];
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_proc(text, sizeof text, path))
        return false;
    u->cpu += cpu_of(text);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (read_proc(text, sizeof text, path) && sscanf(text, "%*u %llu", &pages) == 1)
        u->memory += pages * (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    u->open_fds += walk(path, NULL, NULL);
    u->processes++;
    return true;
}

bool usage_read(struct usage *u, pid_t root)
{
    struct tree tree = {.n = 1, .pid = {root}};
    char path[64];
    *u = (struct usage){0};
    for (unsigned i = 0; i < tree.n; i++) {
        if (!add_process(u, tree.pid[i]) && i == 0)
            return false;
        snprintf(path, sizeof path, "/proc/%d/task", (int)tree.pid[i]);
        walk(path, add_children, &tree);
    }
    return true;
}
