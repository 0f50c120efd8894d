#include "cli/channel.h"

#include <errno.h>
#include <sys/ioctl.h>

static bool has_bytes(const struct channel *c)
{
    return c->head < c->tail;
}

/* A buffer that is full of bytes already written has room: see make_room(). */
static bool wants_bytes(const struct channel *c)
{
    return !c->eof && port_is_open(&c->from) && (c->tail < CHANNEL_BUFFER || !has_bytes(c));
}

void channel_poll(const struct channel *c, struct pollfd p[2])
{
    p[0] = (struct pollfd){.fd = wants_bytes(c) ? c->from.fd : -1, .events = POLLIN};
    /* Without POLLOUT it still tells that the reader has gone. */
    p[1] = (struct pollfd){.fd = port_is_open(&c->to) ? c->to.fd : -1,
                           .events = has_bytes(c) ? POLLOUT : 0};
}

void channel_close(struct channel *c)
{
    port_close(&c->from);
    port_close(&c->to);
    c->head = c->tail;
    c->eof = true;
}

bool channel_done(const struct channel *c)
{
    return !port_is_open(&c->from) && !port_is_open(&c->to);
}

void channel_drain(struct channel *c)
{
    int waiting = 0;
    if (!port_is_open(&c->from) || ioctl(c->from.fd, FIONREAD, &waiting) != 0 || waiting < 0)
        waiting = 0;
    c->limited = true;
    c->left = (size_t)waiting;
    c->eof |= waiting == 0;
}

static bool is_transient(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Writes what is in the buffer. A reader that has gone ends the channel, and
 * so tells the writer on the other side. */
static void write_out(struct channel *c)
{
    while (has_bytes(c)) {
        ssize_t n = port_write(&c->to, c->buffer + c->head, c->tail - c->head);
        if (n < 0) {
            if (!is_transient())
                channel_close(c);
            return;
        }
        c->head += (size_t)n;
    }
}

/* Begins the buffer anew once everything is written. What the tee still points
 * to stays until half of the buffer is used up. */
static void make_room(struct channel *c, struct tee *t)
{
    if (has_bytes(c))
        return;
    if (t->queued[c->stream] && c->tail > CHANNEL_BUFFER / 2)
        tee_flush(t);
    if (!t->queued[c->stream])
        c->head = c->tail = 0;
}

/* Bytes read; 0 when there are none for now or ever (eof). */
static size_t read_in(struct channel *c)
{
    size_t room = CHANNEL_BUFFER - c->tail;
    if (c->limited && room > c->left)
        room = c->left;
    ssize_t n = port_read(&c->from, c->buffer + c->tail, room);
    if (n <= 0) {
        c->eof = n == 0 || !is_transient();
        return 0;
    }
    c->tail += (size_t)n;
    if (c->limited) {
        c->left -= (size_t)n;
        c->eof = c->left == 0;
    }
    return (size_t)n;
}

/* At the end of the stream the destination closes behind the last byte. */
static void pass_end(struct channel *c, struct tee *t)
{
    if (!c->eof || has_bytes(c) || channel_done(c))
        return;
    channel_close(c);
    tee_tell(t, TEE_EOF, c->stream, 0, clock_now());
}

void channel_move(struct channel *c, const struct pollfd p[2], struct tee *t)
{
    if (port_is_open(&c->to) && (p[1].revents & (POLLERR | POLLHUP | POLLNVAL)))
        channel_close(c);
    if (p[1].revents & POLLOUT)
        write_out(c);
    if (p[0].revents && wants_bytes(c)) {
        make_room(c, t);
        size_t at = c->tail, n = read_in(c);
        write_out(c);
        if (n)
            tee_data(t, c->stream, c->buffer + at, n, clock_now());
    }
    pass_end(c, t);
}
