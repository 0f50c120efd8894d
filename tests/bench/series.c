/* series: fills the store.
 *
 *     series SOCKET COUNT [KIND]
 *
 * COUNT counters, or histograms of 14 buckets, of one metric with labels as MCP servers have
 * them, about 60 bytes, over as many connections as ids need. They stay until they are idle. */
#include "talk.h"

static void add_text(struct label *l, struct str key, char *text, size_t size, const char *format,
                     uint64_t n)
{
    const int length = snprintf(text, size, format, (unsigned long long)n);
    *l = (struct label){key, {text, (size_t)length}};
}

static void define(struct buf *out, uint32_t id, uint64_t n)
{
    char tool[32], client[32];
    struct series_def s = {.id = id, .metric_id = 1, .nlabels = 3};
    s.labels[0] = (struct label){STR("mcp.method.name"), STR("tools/call")};
    add_text(&s.labels[1], STR("gen_ai.tool.name"), tool, sizeof tool, "tool_%05llu", n / 10);
    add_text(&s.labels[2], STR("client"), client, sizeof client, "client_%llu", n % 10);
    encode_series(out, &s);
}

/* Series [from, from + count), each with one update. */
static void fill(const char *path, uint64_t from, uint64_t count, bool histograms)
{
    struct talk t;
    struct buf out;
    talk_begin(&t, path, STR("bench"), now_ns());
    if (count > t.max_ids - 1)
        count = t.max_ids - 1;
    buf_init(&out, TALK_DEFINITIONS);
    talk_put_metric(&out, STR("bench.requests"), histograms ? METRIC_HISTOGRAM : METRIC_COUNTER);
    for (uint32_t i = 1; i <= count; i++) {
        define(&out, i, from + i - 1);
        const size_t at = encode_batch(&out, FRAME_UPDATE, t.next++);
        encode_update(&out, i, histograms ? 0 : 1000 + i);
        encode_batch_end(&out, at, 1);
    }
    write_all(t.fd, out.p, out.n);
    talk_flush(&t);
    buf_fini(&out);
    talk_end(&t);
}

int main(int argc, char **argv)
{
    enum { PER_CONNECTION = 4000 };
    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: series SOCKET COUNT [KIND]\n"), 2;
    const bool histograms = argc == 4 && strcmp(argv[3], "histogram") == 0;
    const uint64_t count = strtoull(argv[2], NULL, 10);
    for (uint64_t at = 0; at < count; at += PER_CONNECTION)
        fill(argv[1], at, count - at < PER_CONNECTION ? count - at : PER_CONNECTION, histograms);
    printf("{\"series\": %llu}\n", (unsigned long long)count);
    return 0;
}
