#include "format/status.h"

#include <stdio.h>

#include "format/census.h"
#include "format/ledger.h"
#include "format/sampling_doc.h"

static void put_process(struct json_writer *j, const struct status_info *info, struct when now)
{
    const uint64_t up = now.mono - info->started;
    json_put_bool(j, "running", info->running);
    if (info->running)
        json_put_u64(j, "pid", info->pid);
    else
        json_put_null(j, "pid");
    json_put_text(j, "version", info->version);
    if (info->running)
        json_put_f64(j, "uptime_seconds", (double)(up / NS_PER_MS) / 1000);
    else
        json_put_null(j, "uptime_seconds");
    json_put_text(j, "config", info->config);
    if (info->verdict)
        json_put_text(j, "health", check_status_name(verdict_of(info->verdict, 0)));
    else
        json_put_null(j, "health");
}

static void put_ports(struct json_writer *j, const struct status_info *info)
{
    json_put_object(j, "listen");
    for (unsigned i = 0; i < info->nports; i++) {
        const char *address = info->ports[i].address;
        json_put_text(j, info->ports[i].name, address && *address ? address : NULL);
    }
    json_end_object(j);
}

static void put_store(struct json_writer *j, const struct store *st, const struct status_info *info,
                      const struct ledger *l)
{
    char id[17];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)st->head->store_id);
    json_put_object(j, "store");
    json_put_text(j, "path", info->store_path);
    json_put_text(j, "id", id);
    json_put_u64(j, "version", st->head->version);
    json_put_u64(j, "size", st->size);
    json_put_u64(j, "reserved", store_bytes_reserved(st));
    json_put_f64(j, "created", (double)(st->head->created / NS_PER_MS) / 1000);
    json_put_u64(j, "starts", l->starts);
    json_put_u64(j, "rollbacks", l->rollbacks);
    json_end_object(j);
}

static void put_lane(struct json_writer *j, const struct status_lane *l, struct when now)
{
    const uint64_t age =
        l->spool_oldest && now.wall > l->spool_oldest ? now.wall - l->spool_oldest : 0;
    json_put_object(j, NULL);
    json_put_text(j, "destination", l->destination);
    json_put_text(j, "signal", l->signal);
    json_put_text(j, "breaker", l->breaker);
    json_put_text(j, "error", *l->error ? l->error : NULL);
    json_put_u64(j, "waiting", l->waiting);
    json_put_u64(j, "queued", l->queued);
    json_put_u64(j, "retries", l->retries);
    json_put_object(j, "items");
    for (unsigned i = 0; i < OWN_OUTCOMES; i++)
        json_put_u64(j, own_outcome_name(i), l->outcomes[i]);
    json_end_object(j);
    json_put_object(j, "spool");
    json_put_u64(j, "records", l->spool_records);
    json_put_u64(j, "items", l->spool_items);
    json_put_u64(j, "bytes", l->spool_bytes);
    json_put_f64(j, "age_seconds", (double)(age / NS_PER_MS) / 1000);
    json_end_object(j);
    json_end_object(j);
}

static void put_lanes(struct json_writer *j, const struct status_info *info, struct when now)
{
    json_put_array(j, "export");
    for (unsigned i = 0; i < info->nlanes; i++)
        put_lane(j, &info->lanes[i], now);
    json_end_array(j);
}

void status_document(struct buf *to, const struct store *st, const struct status_info *info,
                     struct when now)
{
    struct json_writer j = json_begin(to);
    struct ledger ledger;
    struct census census;
    ledger_read(st, &ledger);
    census_take(st, &census);
    json_put_object(&j, NULL);
    put_process(&j, info, now);
    put_ports(&j, info);
    ledger_put_account(&j, "accounting", &ledger.all);
    ledger_put_lost(&j, "producer_lost", &ledger);
    ledger_put_consumers(&j, "consumers", st);
    put_lanes(&j, info, now);
    census_put(&j, "sessions", &census);
    json_put_u64(&j, "series", series_count(st));
    json_put_u64(&j, "metrics", st->head->table[TABLE_METRICS].live);
    put_store(&j, st, info, &ledger);
    ledger_put_domains(&j, "domains", st, &ledger);
    if (info->sampling)
        sampling_doc(&j, "sampling", info->sampling);
    if (info->more.put)
        info->more.put(info->more.arg, &j, now);
    json_end_object(&j);
}
