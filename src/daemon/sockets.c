#include "daemon/sockets.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/paths.h"
#include "daemon/value.h"
#include "serve/listen.h"

static int failed(const struct socket_place *at, const char *path, const char *what)
{
    const int e = errno;
    log_error(at->section, "%s: %s: %s", path, what, strerror(e));
    return e == EACCES || e == EPERM ? -ERR_PERM : -ERR_IO;
}

static bool group_of(const char *name, gid_t *out)
{
    uint64_t number;
    if (value_count(name, &number)) {
        *out = (gid_t)number;
        return true;
    }
    const struct group *g = getgrnam(name);
    if (g)
        *out = g->gr_gid;
    return g != NULL;
}

/* Whether somebody accepts connections there: that file is not ours to remove. */
static bool answers(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool yes = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN;
    close(fd);
    return yes;
}

int sockets_listen(const struct socket_place *at)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (at->passed >= 0)
        return at->passed;
    if (paths_join(a.sun_path, sizeof a.sun_path, at->dir, at->path) < 0) {
        log_error(at->section, "%s/%s: too long for a socket's address", at->dir, at->path);
        return -ERR_IO;
    }
    gid_t gid = (gid_t)-1;
    if (*at->group && !group_of(at->group, &gid)) {
        log_error(at->section, "%s.group: there is no group %s", at->section, at->group);
        return -ERR_PERM;
    }
    if (answers(&a)) {
        log_error(at->section, "%s: another process listens there", a.sun_path);
        return -ERR_BUSY;
    }
    const int fd = listen_unix(a.sun_path, at->mode, gid);
    return fd < 0 ? failed(at, a.sun_path, "listen") : fd;
}

void sockets_remove(const struct socket_place *at)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (at->passed < 0 && paths_join(path, sizeof path, at->dir, at->path) == 0)
        (void)unlink(path);
}
