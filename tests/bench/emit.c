/* emit: what one emit costs the host program.
 *
 *     emit SOCKET COUNT flat     as fast as they go; most are lost, and counted
 *     emit SOCKET COUNT paced    in bursts, and each is acknowledged before the next
 *     emit SOCKET COUNT spans    the same with spans of three attributes
 *
 * MCPTALLY_TRANSPORT chooses socket or ring. COUNT increments of one counter through libmcptally,
 * then COUNT atomic additions. Whether a daemon listens, hangs or is away is up to the caller: none
 * of that may show. */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "mcptally.h"

static double per_call(uint64_t begin, uint64_t count)
{
    return (double)(now_ns() - begin) / (double)count;
}

static double flat(mcptally_series *s, uint64_t count)
{
    const uint64_t begin = now_ns();
    for (uint64_t i = 0; i < count; i++)
        mcptally_add(s, 1);
    return per_call(begin, count);
}

static double spans(mcptally *m, uint64_t count)
{
    const uint64_t begin = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        mcptally_span *s =
            mcptally_span_start(m, "tools/call echo", MCPTALLY_SPAN_SERVER, NULL, NULL);
        mcptally_span_attr(s, "mcp.method.name", "tools/call");
        mcptally_span_attr(s, "gen_ai.tool.name", "echo");
        mcptally_span_attr_i64(s, "attempt", (int64_t)i);
        mcptally_span_end(s);
    }
    return per_call(begin, count);
}

/* Only the calls are timed, not the wait for the daemon between the bursts. No series: spans. */
static double paced(mcptally *m, mcptally_series *s, uint64_t count)
{
    enum { BURST = 2048, SPANS = 128, PATIENCE_MS = 10000 };
    const uint64_t bursts = count / (s ? BURST : SPANS);
    double ns = 0;
    for (uint64_t i = 0; i < bursts; i++) {
        ns += s ? flat(s, BURST) : spans(m, SPANS);
        if (mcptally_flush(m, PATIENCE_MS) != 0)
            die("mcptally_flush");
    }
    return ns / (double)bursts;
}

static double add(uint64_t count)
{
    static _Atomic uint64_t counter;
    const uint64_t begin = now_ns();
    for (uint64_t i = 0; i < count; i++)
        atomic_fetch_add(&counter, 1);
    return per_call(begin, count);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: emit SOCKET COUNT flat|paced|spans\n"), 2;
    const mcptally_options options = {
        .size = sizeof options, .socket = argv[1], .service = "bench"};
    const uint64_t count = strtoull(argv[2], NULL, 10);
    mcptally *m = mcptally_open(&options);
    if (!m)
        die("mcptally_open");
    mcptally_series *s = mcptally_with(mcptally_counter(m, "bench.emits", NULL, "Emits."), NULL);
    const bool all_kept = strcmp(argv[3], "paced") == 0;
    flat(s, 1000); /* the thread's buffer is there, the helper runs */
    const bool of_spans = strcmp(argv[3], "spans") == 0;
    const double ns = all_kept || of_spans ? paced(m, of_spans ? NULL : s, count) : flat(s, count);
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(m, &stats);
    printf("{\"ns\": %.3f, \"atomic_ns\": %.3f, \"emitted\": %llu, \"lost\": %llu}\n", ns,
           add(count), (unsigned long long)stats.emitted,
           (unsigned long long)(stats.lost_buffer + stats.lost_queue + stats.lost_expired));
    mcptally_close(m, 0);
    return 0;
}
