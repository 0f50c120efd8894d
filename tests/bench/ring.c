/* ring: counter updates through memory that two processes share.
 *
 *     ring bare COUNT             a bare ring: 12-byte records, one store of the head a record
 *     ring daemon SOCKET COUNT    libmcptally's ring, read by the daemon, to the last ACK
 *
 * Both add the same records into a table of 1,000 series. Nothing may be lost: a writer that finds
 * too much unread waits. */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "mcptally.h"

enum {
    SERIES = 1000,
    GATHER = 8192,     /* before the bare reader reads: chasing each record is slower */
    RECORDS = 1 << 16, /* of the bare ring */
    READER_CPU = 0,
    WRITER_CPU = 1,
    BUFFER = 4 << 20, /* bytes of libmcptally's */
    WINDOW = 1 << 18, /* records that may be unacknowledged */
    BURST = 1 << 15,  /* between two looks at what is */
    PATIENCE_MS = 20000,
};

struct shared {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) uint32_t words[RECORDS * 3];
};

static void print(uint64_t count, uint64_t from)
{
    printf("{\"updates\": %llu, \"seconds\": %.6f}\n", (unsigned long long)count,
           (double)(now_ns() - from) / 1e9);
}

/* Turns for a while, so that the other side is not woken for each record; then others may run. */
static void rest(unsigned *turns)
{
    if (++*turns % 4096 == 0)
        sched_yield();
    else
        __asm__ volatile("" : : : "memory");
}

static void read_ring(struct shared *s, uint64_t count)
{
    static uint64_t table[SERIES];
    uint64_t tail = 0, sum = 0;
    unsigned turns = 0;
    pin(READER_CPU);
    while (tail < count) {
        const uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
        if (head - tail < GATHER && head < count) {
            rest(&turns);
            continue;
        }
        for (; tail < head; tail++) {
            const uint32_t *r = &s->words[tail % RECORDS * 3];
            table[r[0] % SERIES] += (uint64_t)r[2] << 32 | r[1];
        }
        atomic_store_explicit(&s->tail, tail, memory_order_release);
    }
    for (int i = 0; i < SERIES; i++)
        sum += table[i];
    _exit(sum == count ? 0 : 1);
}

static void bare(uint64_t count)
{
    int status;
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        die("mmap");
    const pid_t child = fork();
    if (child == 0)
        read_ring(s, count);
    pin(WRITER_CPU);
    unsigned turns = 0;
    const uint64_t from = now_ns();
    for (uint64_t i = 0, tail = 0; i < count; i++) {
        while (i - tail == RECORDS) {
            tail = atomic_load_explicit(&s->tail, memory_order_acquire);
            if (i - tail == RECORDS)
                rest(&turns);
        }
        uint32_t *r = &s->words[i % RECORDS * 3];
        r[0] = (uint32_t)(i % SERIES);
        r[1] = 1;
        r[2] = 0;
        atomic_store_explicit(&s->head, i + 1, memory_order_release);
    }
    if (waitpid(child, &status, 0) < 0 || status != 0)
        die("the bare ring lost some");
    print(count, from);
}

static uint64_t waiting(mcptally *m)
{
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(m, &s);
    return s.emitted - s.acknowledged - s.lost_buffer - s.lost_queue - s.lost_expired;
}

static void daemon_side(const char *path, uint64_t count)
{
    const mcptally_options o = {.size = sizeof o,
                                .socket = path,
                                .service = "bench",
                                .flags = MCPTALLY_RING,
                                .buffer_bytes = BUFFER};
    mcptally_series *series[SERIES];
    pin(WRITER_CPU);
    mcptally *m = mcptally_open(&o);
    mcptally_metric *metric = mcptally_counter(m, "bench.ring", NULL, "Updates of the bench.");
    for (int i = 0; i < SERIES; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        series[i] = mcptally_with(metric, (mcptally_label[]){{"shard", text}, {NULL, NULL}});
        mcptally_add(series[i], 1);
    }
    if (mcptally_flush(m, PATIENCE_MS) != 0)
        die("mcptally_flush");
    const uint64_t from = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        while (i % BURST == 0 && waiting(m) > WINDOW)
            sched_yield();
        mcptally_add(series[i % SERIES], 1);
    }
    if (mcptally_flush(m, PATIENCE_MS) != 0)
        die("mcptally_flush");
    print(count, from);
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(m, &s);
    if (s.lost_buffer + s.lost_queue + s.lost_expired)
        die("items were lost");
    mcptally_close(m, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "bare") == 0)
        bare(strtoull(argv[2], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "daemon") == 0)
        daemon_side(argv[2], strtoull(argv[3], NULL, 10));
    else
        return fprintf(stderr, "usage: ring bare COUNT | daemon SOCKET COUNT\n"), 2;
    return 0;
}
