/* crowd: connections that greet and then say nothing, or send now and then.
 *
 *     crowd SOCKET COUNT [ITEMS]
 *
 * Prints a line when all are welcome, and hangs up when its stdin ends. With ITEMS each is
 * a service of its own and has sent so many updates of a counter by then, all of them at
 * the same time, and has had them acknowledged. */
#include <sys/resource.h>

#include "talk.h"

enum { NAME = 32, FRAME = 5000 /* items of one */ };

/* As many descriptors as the machine allows a process. */
static void raise_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        die("getrlimit");
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        die("setrlimit");
}

static void send_items(struct talk *t, uint32_t items)
{
    const struct metric_def def = {
        .name = STR("crowd.hits"), .kind = METRIC_COUNTER, .type = VALUE_U64};
    const struct series_def series = {.id = 1, .metric_id = 1};
    struct buf out;
    buf_init(&out, 256 << 20);
    encode_metric(&out, 1, &def);
    encode_series(&out, &series);
    for (uint32_t left = items; left > 0;) {
        const uint32_t n = left < FRAME ? left : FRAME;
        const size_t at = encode_batch(&out, FRAME_UPDATE, t->next);
        for (uint32_t i = 0; i < n; i++)
            encode_update(&out, 1, 1);
        encode_batch_end(&out, at, n);
        t->next += n;
        left -= n;
    }
    write_all(t->fd, out.p, out.n);
    buf_fini(&out);
}

static void begin(struct talk *t, const char *path, size_t i, bool own_service)
{
    char name[NAME];
    snprintf(name, sizeof name, "crowd-%zu", i);
    talk_begin(t, path, own_service ? str_of(name) : STR("crowd"),
               (uint64_t)getpid() << 32 | (i + 1));
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: crowd SOCKET COUNT [ITEMS]\n"), 2;
    const size_t count = strtoul(argv[2], NULL, 10);
    const uint32_t items = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    struct talk *all = calloc(count, sizeof *all);
    if (!all)
        die("calloc");
    raise_limit();
    for (size_t i = 0; i < count; i++)
        begin(&all[i], argv[1], i, items > 0);
    const uint64_t from = now_ns();
    for (size_t i = 0; items && i < count; i++)
        send_items(&all[i], items);
    for (size_t i = 0; i < count; i++)
        talk_flush(&all[i]);
    printf("{\"connections\": %zu, \"services\": %zu, \"acknowledged\": %zu, \"seconds\": %.6f}\n",
           count, items ? count : 1, count * items, (double)(now_ns() - from) / 1e9);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    for (size_t i = 0; i < count; i++)
        talk_end(&all[i]);
    free(all);
    return 0;
}
