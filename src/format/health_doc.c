#include "format/health_doc.h"

#include "format/census.h"
#include "format/ledger.h"
#include "model/event.h"

enum { COMPONENTS_SHOWN = 1000 }; /* what is worst comes first */

static void put_checks(struct json_writer *j, const struct verdict *v, unsigned gates, bool all)
{
    json_put_array(j, "checks");
    for (unsigned i = 0; i < v->n; i++) {
        const struct check *c = &v->checks[i];
        if ((gates && !(c->gates & gates)) || (!all && c->status == CHECK_PASS))
            continue;
        json_put_object(j, NULL);
        json_put_text(j, "name", c->name);
        json_put_text(j, "status", check_status_name(c->status));
        json_put_text(j, "message", c->message);
        json_end_object(j);
    }
    json_end_array(j);
}

void health_short(struct buf *to, const struct verdict *v, unsigned gates)
{
    struct json_writer j = json_begin(to);
    const enum check_status status = verdict_of(v, gates);
    json_put_object(&j, NULL);
    json_put_text(&j, "status", check_status_name(status));
    if (status != CHECK_PASS)
        put_checks(&j, v, gates, false);
    json_end_object(&j);
    buf_addc(to, '\n');
}

/* ---- the long form ---- */

static double seconds_since(uint64_t then, uint64_t now)
{
    return now > then ? (double)((now - then) / NS_PER_MS) / 1000 : 0;
}

static void put_component(struct json_writer *j, const struct part_view *p, struct when now)
{
    json_put_object(j, NULL);
    json_put_str(j, "name", p->component);
    json_put_str(j, "service", p->service);
    json_put_bool(j, "active", p->active);
    json_put_text(j, "state", health_name(p->state));
    json_put_text(j, "reported", health_name(p->reported_state));
    json_put_str(j, "message", p->message);
    json_put_f64(j, "since", (double)((now.wall - (now.mono - p->changed)) / NS_PER_MS) / 1000);
    json_put_f64(j, "report_age_seconds", seconds_since(p->reported, now.mono));
    json_put_u64(j, "failures", p->failures);
    json_put_u64(j, "reports", p->reports);
    json_end_object(j);
}

/* Those of one kind, healthy or not, as long as there is room. */
static void put_kind(struct json_writer *j, const struct store *st, struct when now, bool healthy,
                     unsigned *room, uint64_t *left_out)
{
    struct part_view p;
    for (uint32_t i = 1; i < part_ids(st); i++) {
        if (!part_read(st, i, &p) || (p.state == HEALTH_HEALTHY) != healthy)
            continue;
        if (*room > 0)
            put_component(j, &p, now);
        *left_out += *room == 0;
        *room -= *room > 0;
    }
}

static void put_components(struct json_writer *j, const struct store *st, struct when now)
{
    unsigned room = COMPONENTS_SHOWN;
    uint64_t left_out = 0;
    json_put_array(j, "components");
    put_kind(j, st, now, false, &room, &left_out);
    put_kind(j, st, now, true, &room, &left_out);
    json_end_array(j);
    json_put_u64(j, "components_left_out", left_out);
}

static void put_use(struct json_writer *j, const char *key, uint64_t used, uint64_t limit)
{
    json_put_object(j, key);
    json_put_u64(j, "used", used);
    json_put_u64(j, "limit", limit);
    json_put_f64(j, "ratio", limit ? (double)used / (double)limit : 0);
    json_end_object(j);
}

static void put_cpu(struct json_writer *j, const struct system_figures *s)
{
    json_put_object(j, "cpu");
    if (s->cpu >= 0)
        json_put_f64(j, "ratio", s->cpu);
    else
        json_put_null(j, "ratio");
    json_put_text(j, "of", s->cpu_cgroup ? "cgroup" : "machine");
    json_end_object(j);
}

static void put_system(struct json_writer *j, const struct health_info *info, struct when now)
{
    const struct system_figures *s = info->system;
    json_put_object(j, "system");
    json_put_object(j, "memory");
    json_put_u64(j, "used_bytes", s->memory_used);
    json_put_u64(j, "limit_bytes", s->memory_limit);
    json_put_f64(j, "ratio",
                 s->memory_limit ? (double)s->memory_used / (double)s->memory_limit : 0);
    json_put_text(j, "of", s->memory_cgroup ? "cgroup" : "machine");
    json_put_u64(j, "daemon_resident_bytes", s->resident);
    json_end_object(j);
    json_put_u64(j, "processes", s->processes);
    json_put_f64(j, "uptime_seconds", seconds_since(info->started, now.mono));
    json_put_f64(j, "machine_uptime_seconds", s->machine_uptime);
    json_put_u64(j, "cpus", s->cpus);
    json_put_array(j, "load");
    for (int i = 0; i < 3; i++)
        json_put_f64(j, NULL, s->load[i]);
    json_end_array(j);
    json_put_u64(j, "runnable_tasks", s->runnable);
    put_cpu(j, s);
    put_use(j, "files", s->files, s->files_max);
    put_use(j, "descriptors", s->fds, s->fds_max);
    put_use(j, "state_disk_bytes", s->disk_size - s->disk_avail, s->disk_size);
    json_end_object(j);
}

static void put_ledgers(struct json_writer *j, const struct store *st)
{
    struct ledger ledger;
    struct census census;
    ledger_read(st, &ledger);
    census_take(st, &census);
    ledger_put_domains(j, "domains", st, &ledger);
    census_put(j, "sessions", &census);
    ledger_put_account(j, "accounting", &ledger.all);
    ledger_put_consumers(j, "consumers", st);
}

void health_document(struct buf *to, const struct store *st, const struct health_info *info,
                     struct when now)
{
    struct json_writer j = json_begin(to);
    json_put_object(&j, NULL);
    json_put_text(&j, "status", check_status_name(verdict_of(info->verdict, 0)));
    json_put_text(&j, "version", info->version);
    json_put_text(&j, "description", "mcptallyd");
    put_checks(&j, info->verdict, 0, true);
    put_components(&j, st, now);
    put_ledgers(&j, st);
    if (info->system)
        put_system(&j, info, now);
    if (info->more.put)
        info->more.put(info->more.arg, &j, now);
    json_end_object(&j);
}
