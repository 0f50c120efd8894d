/* delay: how long what is written takes to be applied, and to be seen in a scrape.
 *
 *     delay [OPTION]... SOCKET COUNT        from write() to its ACK, one after the other
 *     delay [OPTION]... SOCKET COUNT PORT   from write() to the end of the page that shows it
 *     delay [OPTION]... echo COUNT          as many bytes to another process, and one back
 *
 *     -b N     items in one write (1)
 *     -s N     series that the updates go around (1)
 *     -k KIND  counter, gauge, histogram, span, event, log or health (counter)
 *
 * Prints percentiles of all, and the p99 of the worst tenth of the time beside the median tenth's.
 * The daemon is on the first processor, and so is what echoes. */
#include "items.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/wait.h>

enum {
    TENTHS = 10,
    PAGE = 4 << 20,
    RECEIVER_CPU = 0,
    BATCH_MOST = (LIMIT_FRAME - PROTO_BATCH) / PROTO_UPDATE,
};

static const char *const kinds[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

static const char *const names[] = {[METRIC_COUNTER] = "delay.hits",
                                    [METRIC_GAUGE] = "delay.level",
                                    [METRIC_HISTOGRAM] = "delay.time"};

static uint32_t batch = 1, nseries = 1;
static enum metric_kind kind = METRIC_COUNTER;
static enum event_kind item; /* 0: updates */

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile(uint64_t *sorted, size_t n, double share)
{
    const size_t i = (size_t)(share * (double)n);
    return (double)sorted[i < n ? i : n - 1] / 1e3;
}

static void print(uint64_t *ns, size_t n)
{
    uint64_t p99[TENTHS];
    for (size_t i = 0; i < TENTHS; i++) {
        uint64_t *part = ns + i * (n / TENTHS);
        qsort(part, n / TENTHS, sizeof *part, by_size);
        p99[i] = part[(size_t)(0.99 * (double)(n / TENTHS))];
    }
    qsort(p99, TENTHS, sizeof *p99, by_size);
    qsort(ns, n, sizeof *ns, by_size);
    printf("{\"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"stability\": %.3f}\n",
           percentile(ns, n, 0.5), percentile(ns, n, 0.95), percentile(ns, n, 0.99),
           percentile(ns, n, 0.999), (double)p99[TENTHS - 1] / (double)p99[TENTHS / 2]);
}

/* ---- what is sent ---- */

static uint64_t value_of(uint64_t i)
{
    const double v = (double)(i % 97) / 10;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return kind == METRIC_COUNTER ? 1 : bits;
}

static void put_updates(struct talk *t, struct buf *out)
{
    const size_t at = encode_batch(out, FRAME_UPDATE, t->next);
    for (uint32_t i = 0; i < batch; i++)
        encode_update(out, 1 + (uint32_t)((t->next + i) * 7919 % nseries), value_of(t->next + i));
    encode_batch_end(out, at, batch);
    t->next += batch;
}

static void send_batch(struct talk *t, struct buf *out)
{
    buf_reset(out);
    if (item)
        put_items(t, out, item, batch);
    else
        put_updates(t, out);
    write_all(t->fd, out->p, out->n);
}

/* Every series once, so that it is there. */
static void fill(struct talk *t, struct buf *out)
{
    const uint32_t asked = batch;
    for (uint32_t left = item ? 0 : nseries - 1; left > 0; left -= batch) {
        batch = left < BATCH_MOST ? left : BATCH_MOST;
        send_batch(t, out);
    }
    batch = asked;
    talk_flush(t);
}

/* ---- to the daemon and back ---- */

/* Whether the page shows that many. */
static bool shown(uint16_t port, char *page, uint64_t hits)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char line[64];
    size_t n = 0;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    write_all(fd, request, sizeof request - 1);
    for (ssize_t got; n < PAGE && (got = read(fd, page + n, PAGE - n)) > 0;)
        n += (size_t)got;
    close(fd);
    snprintf(line, sizeof line, "service_name=\"delay-%d\"} %llu\n", (int)getpid(),
             (unsigned long long)hits);
    return memmem(page, n, line, strlen(line)) != NULL;
}

static void measure(const char *path, size_t count, uint16_t port, uint64_t *ns)
{
    struct talk t;
    struct buf out;
    char service[32] = "delay", *page = malloc(PAGE);
    if (!page)
        die("malloc");
    if (port) /* its counts begin at 0 */
        snprintf(service, sizeof service, "delay-%d", (int)getpid());
    talk_begin(&t, path, str_of(service), now_ns());
    buf_init(&out, LIMIT_FRAME + PROTO_HEADER);
    if (!item)
        talk_define(&t, str_of(names[kind]), kind, nseries);
    fill(&t, &out);
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = now_ns();
        send_batch(&t, &out);
        while (port && !shown(port, page, i + 1))
            continue;
        if (!port)
            talk_flush(&t);
        ns[i] = now_ns() - begin;
    }
    talk_flush(&t);
    talk_end(&t);
    buf_fini(&out);
    free(page);
}

static void read_all(int fd, size_t n)
{
    static char in[65536];
    for (ssize_t got; n > 0; n -= (size_t)got)
        if ((got = read(fd, in, n < sizeof in ? n : sizeof in)) <= 0)
            _exit(0);
}

static void echo(size_t count, uint64_t *ns)
{
    int fd[2];
    const size_t size = batch > 1 ? batch * PROTO_UPDATE : 1;
    char byte = 1, *bytes = calloc(1, size);
    if (!bytes || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        die("socketpair");
    const pid_t child = fork();
    if (child == 0) {
        pin(RECEIVER_CPU);
        close(fd[0]);
        for (;;) {
            read_all(fd[1], size);
            write_all(fd[1], &byte, 1);
        }
    }
    close(fd[1]);
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = now_ns();
        write_all(fd[0], bytes, size);
        if (read(fd[0], &byte, 1) != 1)
            die("echo");
        ns[i] = now_ns() - begin;
    }
    close(fd[0]);
    waitpid(child, NULL, 0);
    free(bytes);
}

/* Whether it is one. */
static bool choose_kind(const char *word)
{
    for (enum metric_kind k = METRIC_COUNTER; k <= METRIC_HISTOGRAM; k++)
        if (strcmp(word, kinds[k]) == 0) {
            kind = k;
            return true;
        }
    item = item_kind(word);
    return item;
}

/* The place of the first operand, or -1. */
static int options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "b:s:k:")) != -1;)
        if (c == 'b')
            batch = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 's')
            nseries = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c != 'k' || !choose_kind(optarg))
            return -1;
    return batch == 0 || batch > BATCH_MOST || nseries == 0 ? -1 : optind;
}

int main(int argc, char **argv)
{
    const int at = options(argc, argv), operands = argc - at;
    const size_t count = at > 0 && operands >= 2 ? strtoul(argv[at + 1], NULL, 10) : 0;
    uint64_t *ns = calloc(count + 1, sizeof *ns);
    if (count < TENTHS || operands > 3 || !ns)
        return fprintf(stderr, "usage: delay [-b N] [-s N] [-k KIND] SOCKET|echo COUNT [PORT]\n"),
               2;
    if (strcmp(argv[at], "echo") == 0)
        echo(count, ns);
    else
        measure(argv[at], count, operands == 3 ? (uint16_t)strtoul(argv[at + 2], NULL, 10) : 0, ns);
    print(ns, count);
    free(ns);
    return 0;
}
