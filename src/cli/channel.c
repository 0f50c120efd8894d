#include "cli/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static bool has_bytes(const struct channel *c)
{
    return c->head < c->ready;
}

/* What may be read into: the first line has room to grow. */
static size_t capacity(const struct channel *c)
{
    return c->edit ? CHANNEL_BUFFER - CHANNEL_PIECE : CHANNEL_BUFFER;
}

/* A buffer that is full of bytes already written has room: see make_room(). */
static bool wants_bytes(const struct channel *c)
{
    return !c->eof && port_is_open(&c->from) && (c->tail < capacity(c) || !has_bytes(c));
}

__attribute__((hot)) void channel_poll(const struct channel *c, struct pollfd p[2])
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
    c->head = c->ready = c->tail;
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
static __attribute__((hot)) void write_out(struct channel *c)
{
    while (has_bytes(c)) {
        ssize_t n = port_write(&c->to, c->buffer + c->head, c->ready - c->head);
        if (n < 0) {
            if (!is_transient())
                channel_close(c);
            return;
        }
        c->head += (size_t)n;
    }
}

/* Begins the buffer anew once everything is written. */
static __attribute__((hot)) void make_room(struct channel *c)
{
    if (has_bytes(c))
        return;
    memmove(c->buffer, c->buffer + c->ready, c->tail - c->ready);
    c->tail -= c->ready;
    c->head = c->ready = 0;
}

/* ---- whole lines, for an edit ---- */

/* The line at `ready` is n bytes long: edits it, and passes over it. */
static void edit_line(struct channel *c, size_t n)
{
    char *line = c->buffer + c->ready, piece[CHANNEL_PIECE];
    size_t at = 0, more = 0;
    if (!c->long_line)
        more = c->edit(c->edit_arg, line, n, piece, &at);
    if (more > 0) {
        memmove(line + at + more, line + at, c->tail - c->ready - at);
        memcpy(line + at, piece, more);
        c->tail += more;
    }
    c->ready += n + more + 1;
    c->long_line = false;
}

/* Says how much may be written: all without an edit, else whole lines, and a
 * piece of one for which the buffer is too small or that will not end. */
static void release(struct channel *c)
{
    const char *end;
    if (!c->edit) {
        c->ready = c->tail;
        return;
    }
    while ((end = memchr(c->buffer + c->ready, '\n', c->tail - c->ready))) {
        if (CHANNEL_BUFFER - c->tail < CHANNEL_PIECE)
            return; /* until the lines before it are written */
        edit_line(c, (size_t)(end - c->buffer) - c->ready);
    }
    if (c->eof || c->long_line || (c->ready == 0 && c->tail >= capacity(c))) {
        c->long_line |= c->ready < c->tail;
        c->ready = c->tail;
    }
}

/* ---- moving ---- */

/* Reads what there is room for; nothing when there is none for now or ever (eof). */
static __attribute__((hot)) void read_in(struct channel *c)
{
    size_t room = capacity(c) - c->tail;
    if (c->limited && room > c->left)
        room = c->left;
    ssize_t n = port_read(&c->from, c->buffer + c->tail, room);
    if (n <= 0) {
        c->eof = n == 0 || !is_transient();
        return;
    }
    c->tail += (size_t)n;
    if (c->limited) {
        c->left -= (size_t)n;
        c->eof = c->left == 0;
    }
}

/* At the end of the stream the destination closes behind the last byte. */
static void pass_end(struct channel *c, struct tee *t)
{
    if (!c->eof || c->head < c->tail || channel_done(c))
        return;
    channel_close(c);
    tee_tell(t, TEE_EOF, c->stream, 0, clock_now());
}

/* Writes what may be written, and tells of it. True when more may come of it. */
static __attribute__((hot)) bool pass(struct channel *c, struct tee *t)
{
    const size_t at = c->ready;
    release(c);
    const size_t n = c->ready - at;
    if (n == 0)
        return false;
    write_out(c);
    tee_data(t, c->stream, c->buffer + at, n, clock_now());
    return c->ready < c->tail && !has_bytes(c);
}

__attribute__((hot)) void channel_move(struct channel *c, const struct pollfd p[2], struct tee *t)
{
    if (port_is_open(&c->to) && (p[1].revents & (POLLERR | POLLHUP | POLLNVAL)))
        channel_close(c);
    if (p[1].revents & POLLOUT) {
        write_out(c);
        if (c->edit)
            make_room(c); /* for the lines that are held */
    }
    if (p[0].revents && wants_bytes(c)) {
        make_room(c);
        read_in(c);
    }
    while (pass(c, t))
        make_room(c);
    pass_end(c, t);
}
