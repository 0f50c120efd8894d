/* loop_client: a client in the same thread as the server under test. It turns
 * the server's loop until it has what it waits for, and fails after a deadline. */
#ifndef MCPTALLY_TESTS_LOOP_CLIENT_H
#define MCPTALLY_TESTS_LOOP_CLIENT_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LOOP_CLIENT_DEADLINE (20 * NS_PER_S)

/* Connects to "127.0.0.1:port", or to a path. */
static inline int client_connect(const char *address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const bool path = address[0] == '/';
    const char *colon = strrchr(address, ':');
    const struct sockaddr *a = path ? (const void *)&un : (const void *)&in;
    if (path)
        memcpy(un.sun_path, address, strlen(address));
    else
        in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    const int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, a, path ? sizeof un : sizeof in), 0);
    return fd;
}

static inline void client_send(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* One turn of the loop; what has come is appended. 0 at the end of the stream. */
static inline bool client_turn(struct event_base *base, int fd, struct buf *got)
{
    char bytes[16384];
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    const ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        buf_add(got, bytes, (size_t)n);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Reads up to the end of the stream. */
static inline void client_read_all(struct event_base *base, int fd, struct buf *got)
{
    const uint64_t end = clock_now().mono + LOOP_CLIENT_DEADLINE;
    buf_reset(got);
    while (client_turn(base, fd, got))
        ck_assert_uint_lt(clock_now().mono, end);
    buf_addc(got, '\0');
    got->n--;
}

#endif
