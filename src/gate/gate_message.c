#include "gate/gate_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

union control {
    char bytes[CMSG_SPACE(sizeof(int) * GATE_DESCRIPTORS)];
    struct cmsghdr align;
};

static void attach(struct msghdr *h, union control *control, const int *fds)
{
    h->msg_control = control->bytes;
    h->msg_controllen = sizeof control->bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * GATE_DESCRIPTORS);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * GATE_DESCRIPTORS);
}

int gate_send(int fd, const struct gate_message *m, struct str bytes, const int *fds)
{
    union control control = {{0}};
    struct gate_message head = *m;
    struct iovec iov[2] = {{&head, sizeof head}, {(void *)(uintptr_t)bytes.p, bytes.n}};
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = bytes.n ? 2 : 1};
    ssize_t n;
    head.magic = GATE_MAGIC;
    head.size = (uint32_t)bytes.n;
    if (fds)
        attach(&h, &control, fds);
    do
        n = sendmsg(fd, &h, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    return errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS ? -ERR_BUSY : -ERR_CLOSED;
}

/* Takes out what came along; more than there should be is closed. */
static void detach(struct msghdr *h, int *fds)
{
    unsigned kept = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (kept < GATE_DESCRIPTORS)
                fds[kept++] = fd;
            else
                close(fd);
        }
    }
}

int gate_receive(int fd, struct gate_message *m, char *bytes, int *fds)
{
    union control control;
    struct iovec iov[2] = {{m, sizeof *m}, {bytes, GATE_BYTES}};
    struct msghdr h = {.msg_iov = iov,
                       .msg_iovlen = 2,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    const ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    fds[0] = fds[1] = -1;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -ERR_CLOSED;
    if (n == 0)
        return -ERR_CLOSED;
    detach(&h, fds);
    const bool sound = (size_t)n >= sizeof *m && !(h.msg_flags & MSG_TRUNC) &&
                       m->magic == GATE_MAGIC && m->kind < GATE_KINDS &&
                       m->size == (size_t)n - sizeof *m;
    return sound ? 1 : -ERR_SYNTAX;
}

/* ---- a configuration ---- */

static void put(struct buf *to, const char *text)
{
    buf_add(to, text, strlen(text) + 1);
}

void gate_write_tls(struct buf *to, const struct web_tls *t, const char *watched)
{
    const char flags[] = {'0' + t->on,
                          '0' + t->only_tls12,
                          '0' + t->only_tls13,
                          '0' + t->prefer_server,
                          (char)('0' + (int)t->client_auth),
                          '\0'};
    put(to, flags);
    put(to, watched);
    for (unsigned i = 0; i < WEB_PEMS; i++) {
        put(to, t->pem[i].text);
        put(to, t->pem[i].file);
    }
    put(to, t->ciphers);
    put(to, t->suites);
    put(to, t->groups);
    for (size_t i = 0; i < t->nsans; i++)
        put(to, t->sans[i]);
}

/* The next text, copied; NULL when there is none, or no memory. */
static char *take(struct str *from)
{
    const char *end = memchr(from->p, '\0', from->n);
    if (!end)
        return NULL;
    char *copy = strdup(from->p);
    from->n -= (size_t)(end + 1 - from->p);
    from->p = end + 1;
    return copy;
}

static bool take_all(struct str *from, char **const *to, unsigned n)
{
    bool good = true;
    for (unsigned i = 0; i < n; i++)
        good &= (*to[i] = take(from)) != NULL;
    return good;
}

static bool take_sans(struct str *from, struct web_tls *t)
{
    t->sans = calloc(WEB_SANS, sizeof *t->sans);
    while (t->sans && from->n && t->nsans < WEB_SANS)
        if (!(t->sans[t->nsans++] = take(from)))
            return false;
    return t->sans && from->n == 0;
}

static bool take_flags(const char *flags, struct web_tls *t)
{
    if (strlen(flags) != 5)
        return false;
    t->on = flags[0] == '1';
    t->only_tls12 = flags[1] == '1';
    t->only_tls13 = flags[2] == '1';
    t->prefer_server = flags[3] == '1';
    t->client_auth = (enum web_client_auth)(flags[4] - '0');
    return flags[4] >= '0' && flags[4] < '0' + WEB_CLIENT_AUTHS;
}

bool gate_read_tls(struct str from, struct web_tls *t, char **watched)
{
    char *flags = NULL;
    *t = (struct web_tls){0};
    *watched = NULL;
    char **const texts[] = {&flags,
                            watched,
                            &t->pem[WEB_CERT].text,
                            &t->pem[WEB_CERT].file,
                            &t->pem[WEB_KEY].text,
                            &t->pem[WEB_KEY].file,
                            &t->pem[WEB_CLIENT_CA].text,
                            &t->pem[WEB_CLIENT_CA].file,
                            &t->ciphers,
                            &t->suites,
                            &t->groups};
    bool good = take_all(&from, texts, sizeof texts / sizeof *texts);
    good = good && take_flags(flags, t) && take_sans(&from, t);
    free(flags);
    return good;
}
