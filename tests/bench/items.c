/* items: spans, events, log records and health reports a second over a Unix socket.
 *
 *     items SOCKET KIND COUNT    to the ACK of the last; KIND: span, event, log, health */
#include "items.h"

enum { FRAME = 200, SENDER_CPU = 1 };

static void send_items(struct talk *t, struct buf *out, enum event_kind kind, uint64_t count)
{
    for (uint64_t left = count; left > 0;) {
        const uint32_t n = left < FRAME ? (uint32_t)left : FRAME;
        buf_reset(out);
        put_items(t, out, kind, n);
        write_all(t->fd, out->p, out->n);
        talk_listen(t, false);
        left -= n;
    }
    talk_flush(t);
}

int main(int argc, char **argv)
{
    const enum event_kind kind = argc == 4 ? item_kind(argv[2]) : 0;
    struct talk t;
    struct buf out;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (!kind)
        return fprintf(stderr, "usage: items SOCKET span|event|log|health COUNT\n"), 2;
    const uint64_t count = strtoull(argv[3], NULL, 10);
    pin(SENDER_CPU);
    talk_begin(&t, argv[1], STR("bench"), now_ns());
    if (getsockopt(t.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        die("SO_PEERCRED");
    buf_init(&out, 1 << 20);
    send_items(&t, &out, kind, FRAME); /* so that what it needs is there */
    const uint64_t begin = now_ns(), cpu = cpu_ns(peer.pid);
    send_items(&t, &out, kind, count);
    printf("{\"updates\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
           (unsigned long long)count, (double)(now_ns() - begin) / 1e9,
           (double)(cpu_ns(peer.pid) - cpu) / 1e9);
    buf_fini(&out);
    talk_end(&t);
    return 0;
}
