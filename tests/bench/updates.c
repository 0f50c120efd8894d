/* updates: updates a second over a Unix socket.
 *
 *     updates bare COUNT [SERIES [BATCH]]                  a loop that reads records and adds them
 *     updates daemon SOCKET COUNT [SERIES [BATCH [KIND]]]  the daemon, to the ACK of the last
 *
 * Both get the same 12-byte records of as many series (1,000) in writes of BATCH records (about
 * 64 KiB) from a sender on another processor. KIND is counter, gauge or histogram; a histogram
 * has 14 buckets. */
#include "talk.h"

#include <sys/wait.h>

enum {
    FRAME_UPDATES = (LIMIT_FRAME - PROTO_BATCH) / PROTO_UPDATE,
    RECEIVER_CPU = 0,
    SENDER_CPU = 1,
};

static const char *const names[] = {[METRIC_COUNTER] = "bench.updates",
                                    [METRIC_GAUGE] = "bench.levels",
                                    [METRIC_HISTOGRAM] = "bench.times"};

static uint32_t nseries = 1000;
static uint64_t batch = FRAME_UPDATES;
static enum metric_kind kind = METRIC_COUNTER;

static uint32_t series_of(uint64_t i)
{
    return (uint32_t)((i * 7919 + i / nseries) % nseries) + 1;
}

/* Over all buckets, where there are any. */
static uint64_t value_of(uint64_t i)
{
    const double v = (double)(i % 97) * (double)(i % 13) / 10;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return kind == METRIC_COUNTER ? 1 : bits;
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
    uint64_t *table = calloc(nseries + 1, sizeof *table);
    size_t have = 0;
    uint64_t n = 0;
    if (!table)
        die("calloc");
    for (ssize_t got; (got = read(fd, in + have, sizeof in - have)) > 0;) {
        have += (size_t)got;
        size_t at = 0;
        for (; at + PROTO_UPDATE <= have; at += PROTO_UPDATE, n++) {
            const uint32_t id = get_u32(in + at);
            if (id <= nseries)
                table[id] += get_u64(in + at + 4);
        }
        have -= at;
        memmove(in, in + at, have);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= nseries; i++)
        sum += table[i];
    free(table);
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
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, data) != 0 || pipe(report) != 0)
        die("socketpair");
    const pid_t child = fork();
    if (child == 0) {
        close(data[1]);
        receive(data[0], report[1]);
    }
    close(data[0]);
    pin(SENDER_CPU);
    const size_t records = nseries > batch ? nseries : batch;
    uint8_t *out = malloc(records * PROTO_UPDATE);
    if (!out)
        die("malloc");
    for (size_t i = 0; i < records; i++) {
        put_u32(out + i * PROTO_UPDATE, series_of(i));
        put_u64(out + i * PROTO_UPDATE + 4, 1);
    }
    const uint64_t begin = now_ns();
    for (uint64_t left = count, at = 0; left > 0;) {
        const uint64_t n = left < batch ? left : batch;
        write_all(data[1], out + at * PROTO_UPDATE, n * PROTO_UPDATE);
        at = at + n + batch <= records ? at + n : 0;
        left -= n;
    }
    free(out);
    close(data[1]);
    if (read(report[0], result, sizeof result) != sizeof result || result[0] != count)
        die("the bare loop lost some");
    print(count, now_ns() - begin, result[1]);
    waitpid(child, NULL, 0);
}

/* ---- the daemon ---- */

/* Frames that together have every series, made once; only their first sequence number changes. */
struct frames {
    struct buf *all;
    uint64_t n, next;
};

static void make_frames(struct frames *f)
{
    f->n = (nseries + batch - 1) / batch;
    f->next = 0;
    f->all = calloc(f->n, sizeof *f->all);
    if (!f->all)
        die("calloc");
    for (uint64_t k = 0; k < f->n; k++) {
        buf_init(&f->all[k], LIMIT_FRAME + PROTO_HEADER);
        const size_t at = encode_batch(&f->all[k], FRAME_UPDATE, 1);
        for (uint64_t i = k * batch; i < (k + 1) * batch; i++)
            encode_update(&f->all[k], series_of(i), value_of(i));
        encode_batch_end(&f->all[k], at, (uint32_t)batch);
    }
}

static void free_frames(struct frames *f)
{
    for (uint64_t k = 0; k < f->n; k++)
        buf_fini(&f->all[k]);
    free(f->all);
}

static void send_frames(struct talk *t, struct frames *f, uint64_t frames)
{
    while (frames-- > 0) {
        struct buf *b = &f->all[f->next++ % f->n];
        put_u64((uint8_t *)b->p + PROTO_HEADER, t->next);
        write_all(t->fd, b->p, b->n);
        t->next += batch;
        talk_listen(t, false);
    }
}

static void daemon_side(const char *path, uint64_t count)
{
    struct talk t;
    struct frames frames;
    struct ucred peer;
    socklen_t size = sizeof peer;
    pin(SENDER_CPU);
    talk_begin(&t, path, STR("bench"), now_ns());
    if (getsockopt(t.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        die("SO_PEERCRED");
    talk_define(&t, str_of(names[kind]), kind, nseries);
    make_frames(&frames);
    send_frames(&t, &frames, frames.n); /* so that every series is there and its pages are */
    talk_flush(&t);
    const uint64_t n = (count + batch - 1) / batch, begin = now_ns(), cpu = cpu_ns(peer.pid);
    send_frames(&t, &frames, n);
    talk_flush(&t);
    const uint64_t end = now_ns();
    print(n * batch, end - begin, cpu_ns(peer.pid) - cpu);
    free_frames(&frames);
    talk_end(&t);
}

static void options(int n, char **words)
{
    nseries = n > 0 ? (uint32_t)strtoul(words[0], NULL, 10) : nseries;
    batch = n > 1 ? strtoull(words[1], NULL, 10) : batch;
    if (n > 2)
        kind = strcmp(words[2], "histogram") == 0 ? METRIC_HISTOGRAM
               : strcmp(words[2], "gauge") == 0   ? METRIC_GAUGE
                                                  : METRIC_COUNTER;
    if (nseries == 0 || batch == 0 || batch > FRAME_UPDATES)
        die("SERIES or BATCH");
}

int main(int argc, char **argv)
{
    const bool bare_one = argc >= 3 && strcmp(argv[1], "bare") == 0;
    if (!bare_one && !(argc >= 4 && strcmp(argv[1], "daemon") == 0))
        return fprintf(stderr, "usage: updates bare COUNT [SERIES [BATCH]]\n"
                               "       updates daemon SOCKET COUNT [SERIES [BATCH [KIND]]]\n"),
               2;
    options(argc - (bare_one ? 3 : 4), argv + (bare_one ? 3 : 4));
    if (bare_one)
        bare(strtoull(argv[2], NULL, 10));
    else
        daemon_side(argv[2], strtoull(argv[3], NULL, 10));
    return 0;
}
