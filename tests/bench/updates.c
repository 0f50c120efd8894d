/* updates: counter updates a second over a Unix socket.
 *
 *     updates bare COUNT             a loop that reads records and adds them
 *     updates daemon SOCKET COUNT    the daemon, to the ACK of the last
 *
 * Both get the same 12-byte records of the same 1,000 series in writes of about
 * 64 KiB from a sender on another processor. */
#include "talk.h"

#include <sys/wait.h>

enum {
    SERIES = 1000,
    FRAME_UPDATES = (LIMIT_FRAME - PROTO_BATCH) / PROTO_UPDATE,
    RECEIVER_CPU = 0,
    SENDER_CPU = 1,
};

/* Neighbours in a frame are seldom neighbours in the table. */
static uint32_t series_of(uint64_t i)
{
    return (uint32_t)((i * 7919 + i / SERIES) % SERIES) + 1;
}

static void print(uint64_t count, uint64_t wall, uint64_t cpu)
{
    printf("{\"updates\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
           (unsigned long long)count, (double)wall / 1e9, (double)cpu / 1e9);
}

/* ---- the bare loop ---- */

static uint64_t add_all(int fd)
{
    static uint8_t in[65536];
    static uint64_t table[SERIES + 1];
    size_t have = 0;
    uint64_t n = 0;
    for (ssize_t got; (got = read(fd, in + have, sizeof in - have)) > 0;) {
        have += (size_t)got;
        size_t at = 0;
        for (; at + PROTO_UPDATE <= have; at += PROTO_UPDATE, n++) {
            const uint32_t id = get_u32(in + at);
            if (id <= SERIES)
                table[id] += get_u64(in + at + 4);
        }
        have -= at;
        memmove(in, in + at, have);
    }
    uint64_t sum = 0;
    for (int i = 0; i <= SERIES; i++)
        sum += table[i];
    return sum == n ? n : 0;
}

static void receive(int fd, int report)
{
    pin(RECEIVER_CPU);
    const uint64_t begin = cpu_ns(getpid());
    uint64_t result[2] = {add_all(fd), 0};
    result[1] = cpu_ns(getpid()) - begin;
    write_all(report, result, sizeof result);
    _exit(0);
}

static void bare(uint64_t count)
{
    int data[2], report[2];
    uint64_t result[2];
    static uint8_t out[FRAME_UPDATES * PROTO_UPDATE];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, data) != 0 || pipe(report) != 0)
        die("socketpair");
    const pid_t child = fork();
    if (child == 0) {
        close(data[1]);
        receive(data[0], report[1]);
    }
    close(data[0]);
    pin(SENDER_CPU);
    for (size_t i = 0; i < FRAME_UPDATES; i++) {
        put_u32(out + i * PROTO_UPDATE, series_of(i));
        put_u64(out + i * PROTO_UPDATE + 4, 1);
    }
    const uint64_t begin = now_ns();
    for (uint64_t left = count; left > 0;) {
        const uint64_t n = left < FRAME_UPDATES ? left : FRAME_UPDATES;
        write_all(data[1], out, n * PROTO_UPDATE);
        left -= n;
    }
    close(data[1]);
    if (read(report[0], result, sizeof result) != sizeof result || result[0] != count)
        die("the bare loop lost some");
    print(count, now_ns() - begin, result[1]);
    waitpid(child, NULL, 0);
}

/* ---- the daemon ---- */

static void define(struct talk *t)
{
    struct buf out;
    struct metric_def metric = {.name = STR("bench.updates"),
                                .help = STR("Updates of the bench."),
                                .kind = METRIC_COUNTER,
                                .type = VALUE_U64};
    buf_init(&out, 1 << 20);
    encode_metric(&out, 1, &metric);
    for (uint32_t i = 1; i <= SERIES; i++) {
        char text[16];
        const int n = snprintf(text, sizeof text, "%u", i);
        struct series_def s = {.id = i, .metric_id = 1, .nlabels = 1};
        s.labels[0] = (struct label){STR("shard"), {text, (size_t)n}};
        encode_series(&out, &s);
    }
    write_all(t->fd, out.p, out.n);
    buf_fini(&out);
}

/* One frame, made once; only its first sequence number changes. */
static void make_frame(struct buf *frame, uint64_t count)
{
    buf_reset(frame);
    const size_t at = encode_batch(frame, FRAME_UPDATE, 1);
    for (uint64_t i = 0; i < count; i++)
        encode_update(frame, series_of(i), 1);
    encode_batch_end(frame, at, (uint32_t)count);
}

static void send_updates(struct talk *t, uint64_t count)
{
    struct buf frame;
    uint64_t made = 0;
    buf_init(&frame, LIMIT_FRAME + PROTO_HEADER);
    while (count > 0) {
        const uint64_t n = count < FRAME_UPDATES ? count : FRAME_UPDATES;
        if (n != made)
            make_frame(&frame, made = n);
        put_u64(frame.p + PROTO_HEADER, t->next);
        write_all(t->fd, frame.p, frame.n);
        t->next += n;
        count -= n;
        talk_listen(t, false);
    }
    buf_fini(&frame);
}

static void daemon_side(const char *path, uint64_t count)
{
    struct talk t;
    struct ucred peer;
    socklen_t size = sizeof peer;
    pin(SENDER_CPU);
    talk_begin(&t, path, STR("bench"), now_ns());
    if (getsockopt(t.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        die("SO_PEERCRED");
    define(&t);
    send_updates(&t, SERIES); /* so that every series is there and its pages are */
    talk_flush(&t);
    const uint64_t begin = now_ns(), cpu = cpu_ns(peer.pid);
    send_updates(&t, count);
    talk_flush(&t);
    const uint64_t end = now_ns();
    print(count, end - begin, cpu_ns(peer.pid) - cpu);
    talk_end(&t);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "bare") == 0)
        bare(strtoull(argv[2], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "daemon") == 0)
        daemon_side(argv[2], strtoull(argv[3], NULL, 10));
    else
        return fprintf(stderr, "usage: updates bare COUNT | daemon SOCKET COUNT\n"), 2;
    return 0;
}
