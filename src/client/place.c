#include "client/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/text.h"

/* Copies a name that the daemon will take, else the second one. */
static void set_name(char to[LIMIT_SERVICE + 1], const char *name, const char *otherwise)
{
    struct str s = text_cut(str_of(name), LIMIT_SERVICE);
    if (!text_name_ok(s))
        s = str_of(otherwise);
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
}

static void set_instance(struct names *names)
{
    snprintf(names->instance, sizeof names->instance, "%ld", (long)getpid());
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* A path that no socket can have is kept as one that never answers. */
static void set_socket(struct names *names, const char *path, const char *below)
{
    const int n = snprintf(names->socket, sizeof names->socket, "%s%s", path, below);
    if (n < 0 || (size_t)n >= sizeof names->socket)
        memcpy(names->socket, "/", 2);
}

/* The socket that somebody named, if somebody did. */
static void find_socket(struct names *names, const mcptally_options *o)
{
    const char *socket = o && o->socket ? o->socket : environment("MCPTALLY_SOCKET");
    const char *directory = environment("MCPTALLY_RUNTIME_DIR");
    if (socket)
        set_socket(names, socket, "");
    else if (directory)
        set_socket(names, directory, "/events.sock");
}

void place_names(struct names *names, const mcptally_options *o)
{
    *names = (struct names){0};
    find_socket(names, o);
    const char *runtime = environment("XDG_RUNTIME_DIR");
    if (runtime && strlen(runtime) < sizeof names->runtime)
        memcpy(names->runtime, runtime, strlen(runtime) + 1);
    const char *service = o && o->service ? o->service : environment("OTEL_SERVICE_NAME");
    set_name(names->service, service ? service : program_invocation_short_name, "unknown_service");
    if (o && o->instance)
        set_name(names->instance, o->instance, "");
    names->instance_is_pid = !(o && o->instance);
    if (names->instance_is_pid)
        set_instance(names);
    if (o && o->domain)
        set_name(names->domain, o->domain, "");
}

bool place_wants_rings(const mcptally_options *o)
{
    const char *transport = environment("MCPTALLY_TRANSPORT");
    return (o && o->flags & MCPTALLY_RING) || (transport && strcmp(transport, "ring") == 0);
}

void place_forked(struct names *names)
{
    if (names->instance_is_pid)
        set_instance(names);
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd); /* nobody there, or EAGAIN: too many are waiting to be accepted */
    return -1;
}

/* Anybody may make a directory in /dev/shm: only our own counts. */
static bool ours(const char *directory)
{
    struct stat s;
    return lstat(directory, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid();
}

static int connect_below(const char *directory, const char *below)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    const int n = snprintf(path, sizeof path, "%s%s/events.sock", directory, below);
    return n > 0 && (size_t)n < sizeof path ? connect_to(path) : -1;
}

int place_connect(const struct names *names)
{
    if (names->socket[0])
        return connect_to(names->socket);
    int fd = names->runtime[0] ? connect_below(names->runtime, "/mcptally") : -1;
    if (fd < 0)
        fd = connect_below("/run", "/mcptally");
    if (fd >= 0)
        return fd;
    char own[64];
    snprintf(own, sizeof own, "/dev/shm/mcptally-%lu", (unsigned long)geteuid());
    return ours(own) ? connect_below(own, "") : -1;
}
