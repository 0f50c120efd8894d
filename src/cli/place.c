#include "cli/place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/ask.h"
#include "cli/cli.h"

/* Who runs the daemon: the owner of what it made. */
static uid_t owner(const struct place *p)
{
    struct stat s;
    if (lstat(p->control, &s) == 0 || stat(p->dir, &s) == 0)
        return s.st_uid;
    return geteuid();
}

/* The store is beside the sockets, unless that is no tmpfs; see mcptallyd(8). */
static void find_store(struct place *p)
{
    struct statfs fs;
    if (statfs(p->dir, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
        snprintf(p->store, sizeof p->store, "/dev/shm/mcptally-%lu/store", (unsigned long)owner(p));
    else
        snprintf(p->store, sizeof p->store, "%s/store", p->dir);
}

/* Fills every path from the directory; false when one is too long. */
static bool fill(struct place *p, const char *dir, const char *below)
{
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - sizeof "/control.sock";
    const int n = snprintf(p->dir, sizeof p->dir, "%s%s", dir, below);
    if (n < 0 || (size_t)n > most)
        return false;
    snprintf(p->control, sizeof p->control, "%s/control.sock", p->dir);
    snprintf(p->events, sizeof p->events, "%s/events.sock", p->dir);
    find_store(p);
    return true;
}

/* Anybody may make a directory in /dev/shm: only its owner's own counts. */
static bool trusted(const char *dir)
{
    struct stat s;
    if (strncmp(dir, "/dev/shm/", 9) != 0)
        return true;
    return lstat(dir, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid();
}

static bool in_use(const struct place *p)
{
    return trusted(p->dir) && (access(p->control, F_OK) == 0 || access(p->store, F_OK) == 0);
}

static bool search(struct place *p)
{
    char own[32];
    const char *session = getenv("XDG_RUNTIME_DIR");
    snprintf(own, sizeof own, "/mcptally-%lu", (unsigned long)geteuid());
    const char *const candidates[][2] = {
        {session && *session ? session : "/run", "/mcptally"},
        {"/run", "/mcptally"},
        {"/dev/shm", own},
    };
    const size_t n = sizeof candidates / sizeof *candidates;
    for (size_t i = 0; i < n; i++)
        if (fill(p, candidates[i][0], candidates[i][1]) && in_use(p))
            return true;
    return fill(p, candidates[0][0], candidates[0][1]);
}

int place_find(struct place *p, const char *asked)
{
    if (!asked)
        asked = getenv("MCPTALLY_RUNTIME_DIR");
    const bool found = asked && *asked ? fill(p, asked, "") : search(p);
    return found ? 0 : -ERR_RANGE;
}

int place_socket(struct place *p, const char *asked, const char *socket, const char **path)
{
    *path = socket;
    if (socket || !asked)
        return 0;
    *path = p->events;
    return place_find(p, asked);
}

int place_producer(struct place *p, const char *asked, const char *socket, const char **path)
{
    const char *variable = getenv("MCPTALLY_SOCKET");
    if (place_find(p, asked) < 0) {
        cli_error("the runtime directory's path is too long");
        return CLI_USAGE;
    }
    *path = p->events;
    if (socket)
        *path = socket;
    else if (!asked && variable && *variable)
        *path = variable;
    if (ask_listening(*path) == 0)
        return CLI_OK;
    const int error = errno;
    cli_error("no daemon on %s: %s", *path, strerror(error));
    return cli_exit_of(error);
}
