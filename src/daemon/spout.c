#include "daemon/spout.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void spout_init(struct spout *s, int fd)
{
    struct stat st;
    const bool known = fstat(fd, &st) == 0;
    *s = (struct spout){
        .fd = fd, .socket = known && S_ISSOCK(st.st_mode), .file = known && S_ISREG(st.st_mode)};
    buf_init(&s->kept, SPOUT_BYTES);
}

/* At most PIPE_BUF bytes, which a pipe that polls writable takes whole. */
static ssize_t write_some(const struct spout *s, const char *p, size_t n)
{
    struct pollfd room = {.fd = s->fd, .events = POLLOUT};
    if (s->socket)
        return send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (s->file)
        return write(s->fd, p, n);
    if (poll(&room, 1, 0) <= 0 || !(room.revents & POLLOUT)) {
        errno = EAGAIN;
        return -1;
    }
    return write(s->fd, p, n < PIPE_BUF ? n : PIPE_BUF);
}

/* True when the rest has to wait for room. A reader that has gone is not waited for: it
 * would be ready for ever. */
static bool flush(struct spout *s)
{
    while (s->kept.n > 0) {
        const ssize_t n = write_some(s, s->kept.p, s->kept.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        buf_drop(&s->kept, (size_t)n);
    }
    return false;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct spout *s = arg;
    (void)fd;
    (void)what;
    if (flush(s))
        event_add(s->writable, NULL);
    buf_trim(&s->kept);
}

/* Whether the lines went can never be known; whether there was room for them can. */
void spout_add(struct spout *s, struct str line)
{
    if (s->kept.n + line.n > SPOUT_BYTES) {
        s->lost++;
        return;
    }
    buf_addstr(&s->kept, line);
    if (s->kept.failed) {
        s->lost++;
        s->kept.failed = false;
    }
    if (flush(s) && s->writable)
        event_add(s->writable, NULL);
}

bool spout_start(struct spout *s, struct event_base *base)
{
    if (!s->file)
        s->writable = event_new(base, s->fd, EV_WRITE, on_writable, s);
    return s->file || s->writable;
}

void spout_stop(struct spout *s)
{
    if (s->writable)
        event_free(s->writable);
    s->writable = NULL;
}

void spout_fini(struct spout *s)
{
    (void)flush(s);
    spout_stop(s);
    buf_fini(&s->kept);
}
