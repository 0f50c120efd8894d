#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static int close_failed(int fd)
{
    const int error = errno;
    close(fd);
    errno = error;
    return -ERR_IO;
}

static bool parse_port(const char *text, in_port_t *out)
{
    char *end;
    const unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || port > 65535)
        return false;
    *out = htons((uint16_t)port);
    return true;
}

/* Takes "host:port" apart; the length of the address, 0 when it is none. */
static socklen_t parse(const char *text, union address *out)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    in_port_t port;
    if (!colon || (size_t)(colon - text) >= sizeof host || !parse_port(colon + 1, &port))
        return 0;
    const size_t n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = port;
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = port;
    if (strcmp(host, "*") == 0)
        return sizeof out->v6;
    if (n < 2 || host[0] != '[' || host[n - 1] != ']')
        return 0;
    host[n - 1] = '\0';
    return inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) == 1 ? sizeof out->v6 : 0;
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int bind_tcp(const union address *a, socklen_t size, bool every)
{
    const int yes = 1, only_v6 = !every;
    const int fd = open_socket(a->any.sa_family);
    if (fd < 0)
        return -ERR_IO;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        return close_failed(fd);
    if (a->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) < 0)
        return close_failed(fd);
    if (bind(fd, &a->any, size) < 0 || listen(fd, SOMAXCONN) < 0)
        return close_failed(fd);
    return fd;
}

int listen_tcp(const char *address)
{
    union address a;
    const socklen_t size = parse(address, &a);
    if (size == 0)
        return -ERR_SYNTAX;
    const bool every = address[0] == '*';
    const int fd = bind_tcp(&a, size, every);
    if (fd >= 0 || !every || errno == EADDRINUSE)
        return fd;
    /* A machine without IPv6. */
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = a.v6.sin6_port};
    a.v4 = v4;
    return bind_tcp(&a, sizeof a.v4, false);
}

bool listen_address_ok(const char *address)
{
    union address a;
    return parse(address, &a) != 0;
}

bool listen_is_local(const char *address)
{
    union address a;
    if (parse(address, &a) == 0)
        return true;
    if (a.any.sa_family == AF_INET)
        return ntohl(a.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
}

bool listen_is(int fd, const char *address)
{
    union address want, is;
    socklen_t n = sizeof is;
    memset(&is, 0, sizeof is);
    const socklen_t size = parse(address, &want);
    if (size == 0 || getsockname(fd, &is.any, &n) < 0 || is.any.sa_family != want.any.sa_family)
        return false;
    if (want.any.sa_family == AF_INET)
        return !want.v4.sin_port || (want.v4.sin_port == is.v4.sin_port &&
                                     want.v4.sin_addr.s_addr == is.v4.sin_addr.s_addr);
    return !want.v6.sin6_port ||
           (want.v6.sin6_port == is.v6.sin6_port &&
            memcmp(&want.v6.sin6_addr, &is.v6.sin6_addr, sizeof is.v6.sin6_addr) == 0);
}

int listen_unix(const char *path, mode_t mode, gid_t gid)
{
    union address a = {.un = {.sun_family = AF_UNIX}};
    const size_t n = strlen(path);
    if (n == 0 || n >= sizeof a.un.sun_path)
        return -ERR_SYNTAX;
    memcpy(a.un.sun_path, path, n);
    const int fd = open_socket(AF_UNIX);
    if (fd < 0)
        return -ERR_IO;
    /* The file appears with the socket's own mode: nobody gets in before it has
     * its group and its final mode. */
    if (fchmod(fd, 0) < 0 || (unlink(path) < 0 && errno != ENOENT))
        return close_failed(fd);
    if (bind(fd, &a.any, sizeof a.un) < 0)
        return close_failed(fd);
    if ((gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0) || chmod(path, mode) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return close_failed(fd);
    return fd;
}

void listen_name(int fd, char *to, size_t size)
{
    union address a;
    char host[INET6_ADDRSTRLEN] = "";
    socklen_t n = sizeof a;
    memset(&a, 0, sizeof a);
    to[0] = '\0';
    if (getsockname(fd, &a.any, &n) < 0)
        return;
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof host);
        snprintf(to, size, "%s:%u", host, ntohs(a.v4.sin_port));
    } else if (a.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof host);
        snprintf(to, size, "[%s]:%u", host, ntohs(a.v6.sin6_port));
    } else if (a.any.sa_family == AF_UNIX) {
        snprintf(to, size, "%s", a.un.sun_path);
    }
}
