#include "daemon/bound.h"

#include "daemon/appender.h"
#include "daemon/journal.h"
#include "daemon/spout.h"
#include "intake/conn.h"
#include "serve/pages.h"
#include "serve/throttle.h"
#include "pipeline/link.h"
#include "pipeline/trace_table.h"

enum {
    BASE_BYTES = 4 << 20,  /* the program, its libraries and their tables */
    CONN_BYTES = 1024,     /* one idle connection; measured by make bench */
    HTTP_BYTES = 32 << 10, /* one HTTP connection of libmicrohttpd */
    GRPC_BYTES = 64 << 10, /* one gRPC connection with all of its streams open */
    RULE_BYTES = 8 << 10,  /* one event rule, as written and compiled */
    CHECK_BYTES = 8 << 10, /* one active check, as written and known of */
    LANE_BYTES = 1 << 20,  /* a lane's buffers, and its share of the connection's */
    /* Addresses that are counted, remembered passwords, and messages of the gate. */
    ACCESS_BYTES = THROTTLE_PLACES * 64 + (512 << 10),
    ID_BYTES = sizeof(struct link_series),
    /* Its pages are the producer's; ours are its slot's, which it may be the last to use, and
     * its place in the page table. */
    RING_BYTES = sizeof(struct shared_ring) + sizeof(struct slot_area) + SLOTS_BYTES + 64,
    TRACE_BYTES = sizeof(struct trace_entry) + 2 * sizeof(uint32_t), /* and its buckets */
};

struct item {
    const char *name;
    uint64_t count, each;
};

static uint64_t lanes(const struct config *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->export_destinations.n; i++)
        n += (uint64_t)__builtin_popcount(c->export_destinations.all[i].signals);
    return n;
}

/* One signal of one destination: requests in memory, read back from the spool, being
 * made, and copied for the transport. */
static uint64_t lane_bytes(const struct config *c)
{
    uint64_t concurrent = 0;
    for (size_t i = 0; i < c->export_destinations.n; i++)
        if (c->export_destinations.all[i].concurrent > concurrent)
            concurrent = c->export_destinations.all[i].concurrent;
    return LANE_BYTES + 2 * c->export_queue_bytes + (2 + concurrent) * c->export_batch_bytes;
}

/* What the answers of the checks that run together may take. */
static uint64_t answer_bytes(const struct config *c)
{
    uint64_t most = 0;
    for (size_t i = 0; i < c->checks.n; i++)
        if (c->checks.all[i].output > most)
            most = c->checks.all[i].output;
    return most + CONN_BYTES;
}

static void print_checks(FILE *to, const struct config *c)
{
    for (size_t i = 0; i < c->checks.n; i++) {
        const struct config_check *k = &c->checks.all[i];
        fprintf(to, "check %s: %s, every %g s, at most %g s, %llu failures, %llu successes\n",
                k->name, check_kind_name(k->kind), (double)k->interval / (double)NS_PER_S,
                (double)k->timeout / (double)NS_PER_S, (unsigned long long)k->failures,
                (unsigned long long)k->successes);
    }
    for (size_t i = 0; i < c->recovery_actions.n; i++) {
        const struct config_action *a = &c->recovery_actions.all[i];
        fprintf(to, "action %s: %s, at most %llu in %g s%s\n", a->name,
                a->resets ? "reset a domain" : a->command.items[0], (unsigned long long)a->max,
                (double)a->window / (double)NS_PER_S, c->recovery_enabled ? "" : ", off");
    }
}

void bound_print(FILE *to, const struct config *c)
{
    const struct item items[] = {
        {"store", 1, c->store_size},
        {"connections", c->limits_connections, CONN_BYTES},
        {"shared rings", c->limits_rings, RING_BYTES},
        {"series ids", c->limits_ids, ID_BYTES},
        {"partial frames", 1, c->limits_partial_frame_bytes},
        {"replies", 1, c->limits_reply_bytes},
        {"metrics pages", 1, c->metrics_page_bytes + PAGES_KEPT},
        {"http connections", c->metrics_connections + c->health_connections + c->otlp_connections,
         HTTP_BYTES},
        {"OTLP messages", 1, c->otlp_buffer},
        {"gRPC connections", c->otlp_connections, GRPC_BYTES},
        {"rules", c->rules.n, RULE_BYTES},
        {"traces", c->sampling_traces, TRACE_BYTES},
        {"forwarding", lanes(c), lane_bytes(c)},
        {"checks", c->checks.n, CHECK_BYTES},
        {"answers of checks", c->checks.n ? c->health_checks_at_once : 0, answer_bytes(c)},
        {"helper", 1, HELPER_BYTES},
        {"access", 1, ACCESS_BYTES},
        {"log lines", 1, SPOUT_BYTES + JOURNAL_BYTES + HELPER_LINE_FILES * APPENDER_BYTES},
        {"program", 1, BASE_BYTES},
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        const uint64_t bytes = items[i].count * items[i].each;
        fprintf(to, "%-18s %8.1f MiB", items[i].name, (double)bytes / (1 << 20));
        if (items[i].count > 1)
            fprintf(to, "  (%llu of %llu bytes)", (unsigned long long)items[i].count,
                    (unsigned long long)items[i].each);
        fputc('\n', to);
        sum += bytes;
    }
    fprintf(to, "%-18s %8.1f MiB\n", "at most", (double)sum / (1 << 20));
    print_checks(to, c);
}
