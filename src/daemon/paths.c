#include "daemon/paths.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int print(char *to, unsigned size, const char *a, const char *b)
{
    int n = snprintf(to, size, "%s%s", a, b);
    return n >= 0 && (unsigned)n < size ? 0 : -ERR_RANGE;
}

int paths_join(char *to, unsigned size, const char *dir, const char *path)
{
    if (*path == '/')
        return print(to, size, path, "");
    int n = snprintf(to, size, "%s/%s", dir, path);
    return n >= 0 && (unsigned)n < size ? 0 : -ERR_RANGE;
}

/* A variable's value when it is an absolute path, cut at the first colon as
 * RUNTIME_DIRECTORY may hold several. */
static const char *directory_variable(const char *name, char *to)
{
    const char *value = getenv(name);
    if (!value || *value != '/')
        return NULL;
    int n = snprintf(to, PATHS_MAX, "%.*s", (int)strcspn(value, ":"), value);
    return n < PATHS_MAX ? to : NULL;
}

static int per_user(char *to)
{
    snprintf(to, PATHS_MAX, "/dev/shm/mcptally-%lu", (unsigned long)geteuid());
    return 0;
}

static int default_runtime(char *to)
{
    char dir[PATHS_MAX];
    if (directory_variable("RUNTIME_DIRECTORY", to))
        return 0;
    if (geteuid() == 0)
        return print(to, PATHS_MAX, "/run/mcptally", "");
    if (directory_variable("XDG_RUNTIME_DIR", dir))
        return print(to, PATHS_MAX, dir, "/mcptally");
    return per_user(to);
}

static int default_state(char *to)
{
    char dir[PATHS_MAX];
    if (directory_variable("STATE_DIRECTORY", to))
        return 0;
    if (geteuid() == 0)
        return print(to, PATHS_MAX, "/var/lib/mcptally", "");
    if (directory_variable("XDG_STATE_HOME", dir))
        return print(to, PATHS_MAX, dir, "/mcptally");
    if (directory_variable("HOME", dir))
        return print(to, PATHS_MAX, dir, "/.local/state/mcptally");
    return per_user(to);
}

static int told(char *why, unsigned size, const char *path, const char *what, int result)
{
    snprintf(why, size, "%s: %s", path, what);
    return result;
}

/* Makes a directory unless it is there, and checks that nobody else could put
 * a file of his own into it. `mode` is of a new one. */
static int make_directory(const char *path, mode_t mode, char *why, unsigned size)
{
    struct stat s;
    bool made = mkdir(path, mode) == 0;
    if (!made && errno != EEXIST)
        return told(why, size, path, strerror(errno), errno == EACCES ? -ERR_PERM : -ERR_IO);
    if (made && chmod(path, mode) < 0)
        return told(why, size, path, strerror(errno), -ERR_IO);
    if (lstat(path, &s) < 0)
        return told(why, size, path, strerror(errno), -ERR_IO);
    if (!S_ISDIR(s.st_mode))
        return told(why, size, path, "is not a directory", -ERR_PERM);
    if (s.st_uid != geteuid() && s.st_uid != 0)
        return told(why, size, path, "belongs to another user", -ERR_PERM);
    if (s.st_mode & S_IWOTH)
        return told(why, size, path, "can be written by everybody", -ERR_PERM);
    return 0;
}

static bool on_tmpfs(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int find_store(struct paths *p, char *why, unsigned size)
{
    if (on_tmpfs(p->runtime))
        return print(p->store, sizeof p->store, p->runtime, "");
    per_user(p->store);
    return make_directory(p->store, 0700, why, size);
}

int paths_find(struct paths *p, const char *runtime, const char *state, char *why, unsigned size)
{
    int r =
        *runtime ? print(p->runtime, sizeof p->runtime, runtime, "") : default_runtime(p->runtime);
    if (r == 0)
        r = *state ? print(p->state, sizeof p->state, state, "") : default_state(p->state);
    if (r < 0)
        return told(why, size, *runtime ? runtime : "runtime directory", "path too long", r);
    /* Root's is for everybody to reach the socket in; a user's is his own. */
    r = make_directory(p->runtime, geteuid() == 0 ? 0755 : 0700, why, size);
    return r < 0 ? r : find_store(p, why, size);
}
