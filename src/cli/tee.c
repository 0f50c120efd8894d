#include "cli/tee.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 }; /* asked for; the kernel gives what wmem_max allows */

int tee_open(struct tee *t, int *socket)
{
    int pair[2], size = BUFFER;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kick < 0) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    t->fd = pair[0];
    t->kick = kick;
    *socket = pair[1];
    return 0;
}

void tee_close(struct tee *t)
{
    if (t->fd >= 0) {
        close(t->fd);
        close(t->kick);
    }
    t->fd = t->kick = -1;
    memset(t->lost, 0, sizeof t->lost); /* the next one counts anew */
}

static void kick(struct tee *t)
{
    const uint64_t one = 1;
    t->sent_bytes = t->sent_packets = 0;
    /* A counter that is full has been kicked enough. */
    if (write(t->kick, &one, sizeof one) < 0)
        return;
}

static __attribute__((hot)) bool send_packet(struct tee *t)
{
    struct iovec parts[2 * TEE_NOTES];
    struct msghdr message = {.msg_iov = parts};
    for (unsigned i = 0; i < t->notes; i++) {
        parts[message.msg_iovlen++] = (struct iovec){&t->head[i], sizeof t->head[i]};
        if (t->head[i].size)
            parts[message.msg_iovlen++] = (struct iovec){(void *)t->data[i], t->head[i].size};
    }
    if (sendmsg(t->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        tee_close(t);
    return false;
}

/* Gives the observer a moment to make room; see the top of tee.h. */
static bool wait_for_room(struct tee *t)
{
    struct pollfd p = {.fd = t->fd, .events = POLLOUT};
    const uint64_t most = TEE_WAIT_MS * NS_PER_MS, now = clock_now().mono;
    if (t->fd < 0 || t->in_vain || t->bytes < TEE_BIG)
        return false;
    t->credit += (now - t->credit_at) / TEE_WAIT_SHARE;
    t->credit = t->credit < most ? t->credit : most;
    t->credit_at = now;
    if (t->credit < NS_PER_MS)
        return false;
    kick(t);
    t->in_vain = poll(&p, 1, (int)(t->credit / NS_PER_MS)) != 1;
    const uint64_t waited = clock_now().mono - now;
    t->credit -= waited < t->credit ? waited : t->credit;
    return !t->in_vain;
}

static void lose(struct tee *t)
{
    for (unsigned i = 0; i < t->notes; i++) {
        t->lost[t->head[i].stream] += t->head[i].size;
        t->eof_lost[t->head[i].stream] |= t->head[i].kind == TEE_EOF;
    }
}

__attribute__((hot)) void tee_flush(struct tee *t)
{
    if (t->notes == 0)
        return;
    bool sent = t->fd >= 0 && (send_packet(t) || (wait_for_room(t) && send_packet(t)));
    if (sent)
        t->in_vain = false;
    else
        lose(t);
    t->sent_bytes += t->bytes;
    t->sent_packets++;
    if (t->fd >= 0 &&
        (!sent || t->sent_bytes >= TEE_KICK_BYTES || t->sent_packets >= TEE_KICK_PACKETS))
        kick(t);
    t->notes = t->bytes = 0;
    memset(t->queued, 0, sizeof t->queued);
}

static __attribute__((hot)) void queue_note(struct tee *t, struct tee_head head, const char *p)
{
    if (t->notes == TEE_NOTES || t->bytes + head.size > TEE_CHUNK)
        tee_flush(t);
    head.lost = t->lost[head.stream];
    t->head[t->notes] = head;
    t->data[t->notes++] = p;
    t->bytes += head.size;
    t->queued[head.stream]++;
    if (t->bytes >= TEE_BIG)
        tee_flush(t);
}

__attribute__((hot)) void tee_data(struct tee *t, enum tee_stream s, const char *p, size_t n,
                                   struct when now)
{
    bool line_start = !t->mid_line[s];
    t->mid_line[s] = p[n - 1] != '\n';
    if (t->fd < 0) {
        t->lost[s] += n;
        return;
    }
    struct tee_head head = {
        .when = now,
        .size = (uint32_t)n,
        .kind = TEE_DATA,
        .stream = (uint8_t)s,
        .line_start = line_start,
    };
    queue_note(t, head, p);
}

void tee_tell(struct tee *t, enum tee_kind kind, enum tee_stream s, int32_t value, struct when now)
{
    if (t->fd < 0)
        return;
    struct tee_head head = {
        .when = now,
        .value = value,
        .kind = (uint8_t)kind,
        .stream = (uint8_t)s,
    };
    queue_note(t, head, NULL);
}

/* Whether fd has one of the events in time; a hang-up alone is not one. */
static bool wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, timeout_ms) == 1 && (p.revents & events);
}

void tee_finish(struct tee *t, int32_t status, struct when now, int timeout_ms)
{
    tee_flush(t);
    if (t->fd < 0)
        return;
    if (wait_for(t->fd, POLLOUT, timeout_ms)) {
        for (unsigned s = 0; s < TEE_STREAMS; s++)
            tee_tell(t, t->eof_lost[s] ? TEE_EOF : TEE_LOST, (enum tee_stream)s, 0, now);
        tee_tell(t, TEE_EXITED, TEE_UP, status, now);
        tee_flush(t);
    }
    if (t->fd < 0)
        return;
    shutdown(t->fd, SHUT_WR);
    kick(t);
    wait_for(t->fd, 0, timeout_ms); /* until the hang-up: it has closed its end */
    tee_close(t);
}
