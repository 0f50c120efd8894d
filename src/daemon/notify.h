/* notify: what systemd is told and what it hands over. Floor 5.
 *
 * sd_notify(3) and sd_listen_fds(3) are a datagram and two variables; both are
 * spoken here without the library. Without NOTIFY_SOCKET nothing is sent. */
#ifndef MCPTALLY_DAEMON_NOTIFY_H
#define MCPTALLY_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_TEXT = 1024 };

struct notify {
    int fd;                   /* datagram socket, or -1 */
    bool asked;               /* there is somebody to tell */
    char untold[NOTIFY_TEXT]; /* the newest state, when that could not be sent; else empty */
    struct sockaddr_un to;
    socklen_t to_size;
    uint64_t watchdog; /* ns between two pings that systemd expects, 0: none */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_init(struct notify *n);
void notify_fini(struct notify *n);

/* Sends lines such as "READY=1\nSTATUS=..."; never waits. What cannot be sent now is kept
 * for notify_again(): who never hears of READY=1 takes us for dead. */
void notify_send(struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* To be called now and then: sends what could not be sent. */
void notify_again(struct notify *n);

/* A sign of life; the next one makes up for one that is lost. */
void notify_watchdog(struct notify *n);

/* Sends RELOADING=1 with the time, on the clock that systemd wants for it. */
void notify_reloading(struct notify *n);

/* Whether systemd has started this very process (INVOCATION_ID, SYSTEMD_EXEC_PID), and not
 * somebody in an environment that it made. */
bool notify_is_parent(void);

/* A descriptor that systemd or another parent passed (LISTEN_FDS, LISTEN_PID,
 * LISTEN_FDNAMES). */
enum { PASSED_MAX = 8, PASSED_NAME = 32 };

struct passed {
    struct {
        char name[PASSED_NAME];
        int fd;
    } fds[PASSED_MAX];
    unsigned n;
};

/* Takes what was passed to this process: marks it close-on-exec and clears the
 * variables. Descriptors beyond PASSED_MAX are closed. */
void passed_init(struct passed *p);

/* The listening stream socket of that name, or -1. The caller owns it then. */
int passed_take(struct passed *p, const char *name);

/* Closes those that nobody took; returns how many, and appends their names. */
unsigned passed_fini(struct passed *p, char *names, size_t size);

#endif
