/* Daily: what was set aside long ago goes. In memory those are stores that could not be
 * gone on from, on disk damaged segments and the spools of destinations that are gone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/upkeep.h"

struct sweep {
    uint64_t before; /* ns since 1970: what was last written earlier is old */
    uint64_t files, bytes;
    bool failed;
};

static bool is_old(const struct sweep *s, const struct stat *st)
{
    return S_ISREG(st->st_mode) && (uint64_t)st->st_mtime < s->before / NS_PER_S;
}

/* Removes a file that is old. One that is gone meanwhile is as good. */
static void remove_old(struct sweep *s, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !is_old(s, &st))
        return;
    if (unlink(path) < 0) {
        if (errno != ENOENT) {
            cli_error("%s: %s", path, strerror(errno));
            s->failed = true;
        }
        return;
    }
    printf("removed %s (%llu bytes)\n", path, (unsigned long long)st.st_size);
    s->files++;
    s->bytes += (uint64_t)st.st_size;
}

static void remove_matches(struct sweep *s, const char *pattern)
{
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        remove_old(s, found.gl_pathv[i]);
    globfree(&found);
}

/* Whether anything in a directory is not old. */
static bool in_use(const struct sweep *s, const char *dir)
{
    char path[PLACE_MAX];
    struct stat st;
    bool young = false;
    DIR *d = opendir(dir);
    if (!d)
        return true;
    for (const struct dirent *e; !young && (e = readdir(d)) != NULL;) {
        const int n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            young = (size_t)n >= sizeof path || lstat(path, &st) < 0 || !is_old(s, &st);
    }
    closedir(d);
    return young;
}

/* A daemon holds a lock on each spool that it has. One that nobody has, and that nothing
 * was written to for so long, is of a destination that is not configured any more. */
static void remove_spool(struct sweep *s, const char *dir)
{
    char pattern[PLACE_MAX];
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && !in_use(s, dir)) {
        const int n = snprintf(pattern, sizeof pattern, "%s/*", dir);
        if ((size_t)n < sizeof pattern)
            remove_matches(s, pattern);
        if (rmdir(dir) == 0)
            printf("removed %s\n", dir);
    }
    close(fd);
}

static void remove_spools(struct sweep *s, const char *state)
{
    char pattern[PLACE_MAX + 16];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/spool/*", state);
    if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        remove_spool(s, found.gl_pathv[i]);
    globfree(&found);
}

int upkeep_daily(const struct upkeep *u)
{
    char pattern[PLACE_MAX + 32];
    const uint64_t now = clock_now().wall;
    struct sweep s = {.before = now > u->keep ? now - u->keep : 0};
    snprintf(pattern, sizeof pattern, "%s.damaged-*", u->place.store);
    remove_matches(&s, pattern);
    snprintf(pattern, sizeof pattern, "%s/spool/*/*.damaged", u->state);
    remove_matches(&s, pattern);
    remove_spools(&s, u->state);
    printf("daily: %llu files removed, %llu bytes\n", (unsigned long long)s.files,
           (unsigned long long)s.bytes);
    return s.failed ? CLI_FAILURE : CLI_OK;
}
