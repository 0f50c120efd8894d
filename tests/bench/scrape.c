/* scrape: the time of one GET /metrics, and of a memcpy of the same bytes.
 *
 *     scrape PORT RUNS
 *
 * From connect() to the last byte, on loopback. */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>

struct page {
    char *p;
    size_t n, cap;
};

static int dial(uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    return fd;
}

static void read_all(int fd, struct page *page)
{
    for (page->n = 0;;) {
        if (page->cap - page->n < 1 << 16) {
            page->cap = page->cap ? 2 * page->cap : 1 << 20;
            page->p = realloc(page->p, page->cap);
            if (!page->p)
                die("realloc");
        }
        const ssize_t got = read(fd, page->p + page->n, page->cap - page->n);
        if (got < 0)
            die("read");
        if (got == 0)
            return;
        page->n += (size_t)got;
    }
}

static uint64_t get(uint16_t port, struct page *page)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const uint64_t begin = now_ns();
    const int fd = dial(port);
    write_all(fd, request, sizeof request - 1);
    read_all(fd, page);
    close(fd);
    const uint64_t took = now_ns() - begin;
    if (page->n < 15 || memcmp(page->p, "HTTP/1.1 200 OK", 15) != 0)
        die("no page");
    return took;
}

static uint64_t copy(const struct page *page, char *to)
{
    const uint64_t begin = now_ns();
    memcpy(to, page->p, page->n);
    __asm__ volatile("" : : "r"(to) : "memory"); /* the copy has a reader */
    return now_ns() - begin;
}

int main(int argc, char **argv)
{
    struct page page = {0};
    if (argc != 3)
        return fprintf(stderr, "usage: scrape PORT RUNS\n"), 2;
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    const unsigned long runs = strtoul(argv[2], NULL, 10);
    get(port, &page); /* pages and buffers are there */
    char *to = malloc(page.cap);
    if (!to)
        die("malloc");
    memset(to, 1, page.cap);
    copy(&page, to);
    printf("{\"bytes\": %zu, \"seconds\": [", page.n);
    for (unsigned long i = 0; i < runs; i++)
        printf("%s%.9f", i ? ", " : "", (double)get(port, &page) / 1e9);
    printf("], \"memcpy_seconds\": [");
    for (unsigned long i = 0; i < runs; i++)
        printf("%s%.9f", i ? ", " : "", (double)copy(&page, to) / 1e9);
    printf("]}\n");
    free(to);
    free(page.p);
    return 0;
}
