/* delay: how long one update takes to be applied, and to be seen in a scrape.
 *
 *     delay SOCKET COUNT          from write() to its ACK, one after the other
 *     delay SOCKET COUNT PORT     from write() to the end of the page that shows it
 *     delay echo COUNT            a byte to another process and back
 *
 * Prints percentiles of all, and the p99 of the worst tenth of the time beside the median tenth's.
 */
#include "talk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { TENTHS = 10, PAGE = 4 << 20 };

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

static void put_update(struct talk *t, struct buf *out)
{
    buf_reset(out);
    const size_t at = encode_batch(out, FRAME_UPDATE, t->next++);
    encode_update(out, 1, 1);
    encode_batch_end(out, at, 1);
    write_all(t->fd, out->p, out->n);
}

static void define(struct buf *out)
{
    const struct metric_def metric = {
        .name = STR("delay.hits"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const struct series_def series = {.id = 1, .metric_id = 1};
    encode_metric(out, 1, &metric);
    encode_series(out, &series);
}

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
    char service[32], *page = malloc(PAGE);
    if (!page)
        die("malloc");
    snprintf(service, sizeof service, "delay-%d", (int)getpid()); /* its counts begin at 0 */
    talk_begin(&t, path, str_of(service), now_ns());
    buf_init(&out, 4096);
    define(&out);
    write_all(t.fd, out.p, out.n);
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = now_ns();
        put_update(&t, &out);
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

static void echo(size_t count, uint64_t *ns)
{
    int fd[2];
    char byte = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        die("socketpair");
    const pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        while (read(fd[1], &byte, 1) == 1)
            write_all(fd[1], &byte, 1);
        _exit(0);
    }
    close(fd[1]);
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = now_ns();
        write_all(fd[0], &byte, 1);
        if (read(fd[0], &byte, 1) != 1)
            die("echo");
        ns[i] = now_ns() - begin;
    }
    close(fd[0]);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const size_t count = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
    uint64_t *ns = calloc(count + 1, sizeof *ns);
    if (count < TENTHS || argc > 4 || !ns)
        return fprintf(stderr, "usage: delay SOCKET COUNT [PORT] | echo COUNT\n"), 2;
    if (strcmp(argv[1], "echo") == 0)
        echo(count, ns);
    else
        measure(argv[1], count, argc == 4 ? (uint16_t)strtoul(argv[3], NULL, 10) : 0, ns);
    print(ns, count);
    free(ns);
    return 0;
}
