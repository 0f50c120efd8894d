#include "daemon/config_checks.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/config_command.h"
#include "daemon/config_fields.h"
#include "daemon/value.h"
#include "export/endpoint.h"
#include "export/fields.h"
#include "model/text.h"

#define DAY (24 * 3600 * NS_PER_S)

enum { BODY_MAX = 4096 };

/* ---- what a function reads ---- */

static bool read_kind(void *entry, const struct tree_node *n, struct faults *f)
{
    struct config_check *c = entry;
    const int kind = n->kind == TREE_SCALAR ? check_kind_of(n->text) : -1;
    if (kind < 0)
        return config_fields_bad(n, "process, unix, tcp, http, mcp or command", f);
    c->has_kind = true;
    c->kind = (enum check_kind)kind;
    return true;
}

static bool read_era(void *entry, const struct tree_node *n, struct faults *f)
{
    const int era = n->kind == TREE_SCALAR ? mcp_era_of(n->text) : -1;
    if (era < 0)
        return config_fields_bad(n, "auto, legacy or modern", f);
    ((struct config_check *)entry)->era = (enum mcp_era)era;
    return true;
}

static bool read_method(void *entry, const struct tree_node *n, struct faults *f)
{
    struct config_check *c = entry;
    c->head = n->kind == TREE_SCALAR && strcmp(n->text, "HEAD") == 0;
    return c->head || (n->kind == TREE_SCALAR && strcmp(n->text, "GET") == 0) ||
           config_fields_bad(n, "GET or HEAD", f);
}

/* "200", "200-299" or "2xx". */
static bool parse_status(const char *text, struct plan_range *r)
{
    int end = 0;
    char x[3];
    if (sscanf(text, "%1u%2[x]%n", &r->from, x, &end) == 2 && !text[end] && end == 3) {
        r->from *= 100;
        r->to = r->from + 99;
    } else if (sscanf(text, "%3u-%3u%n", &r->from, &r->to, &end) != 2 || text[end]) {
        if (sscanf(text, "%3u%n", &r->from, &end) != 1 || text[end])
            return false;
        r->to = r->from;
    }
    return r->from >= 100 && r->from <= r->to && r->to <= 599;
}

static bool add_status(struct config_check *c, const struct tree_node *n, struct faults *f)
{
    if (n->kind == TREE_SCALAR && c->nstatuses < PLAN_STATUSES &&
        parse_status(n->text, &c->statuses[c->nstatuses])) {
        c->nstatuses++;
        return true;
    }
    return config_fields_bad(n, "a status such as 200, 2xx or 200-404, at most 8 of them", f);
}

static bool read_status(void *entry, const struct tree_node *all, struct faults *f)
{
    bool good = true;
    if (all->kind != TREE_LIST)
        return add_status(entry, all, f);
    for (const struct tree_node *n = all->down; n; n = n->next)
        good = add_status(entry, n, f) && good;
    return good;
}

/* ---- the keys ---- */

#define AT(member) offsetof(struct config_check, member)

enum {
    OF_PROCESS = 1u << CHECK_PROCESS,
    OF_UNIX = 1u << CHECK_UNIX,
    OF_TCP = 1u << CHECK_TCP,
    OF_HTTP = 1u << CHECK_HTTP,
    OF_MCP = 1u << CHECK_MCP,
    OF_COMMAND = 1u << CHECK_COMMAND,
};

static const struct config_field fields[] = {
    {"name", FIELD_TEXT, AT(name), 0, 0, NULL, 0},
    {"service", FIELD_TEXT, AT(service), 0, 0, NULL, 0},
    {"kind", FIELD_OTHER, 0, 0, 0, read_kind, 0},
    {"interval", FIELD_DURATION, AT(interval), NS_PER_S, DAY, NULL, 0},
    {"timeout", FIELD_DURATION, AT(timeout), NS_PER_MS, 3600 * NS_PER_S, NULL, 0},
    {"failures", FIELD_COUNT, AT(failures), 1, 1000, NULL, 0},
    {"successes", FIELD_COUNT, AT(successes), 1, 100, NULL, 0},
    {"pid_file", FIELD_TEXT, AT(pid_file), 0, 0, NULL, OF_PROCESS},
    {"process", FIELD_TEXT, AT(process), 0, 0, NULL, OF_PROCESS},
    {"unit", FIELD_TEXT, AT(unit), 0, 0, NULL, OF_PROCESS},
    {"cgroup", FIELD_TEXT, AT(cgroup), 0, 0, NULL, OF_PROCESS},
    {"path", FIELD_TEXT, AT(path), 0, 0, NULL, OF_UNIX},
    {"address", FIELD_TEXT, AT(address), 0, 0, NULL, OF_TCP},
    {"url", FIELD_TEXT, AT(url), 0, 0, NULL, OF_HTTP | OF_MCP},
    {"method", FIELD_OTHER, 0, 0, 0, read_method, OF_HTTP},
    {"status", FIELD_OTHER, 0, 0, 0, read_status, OF_HTTP},
    {"body", FIELD_TEXT, AT(body), 0, 0, NULL, OF_HTTP},
    {"headers", FIELD_MAP, AT(headers), 0, 0, NULL, OF_HTTP | OF_MCP},
    {"ca_file", FIELD_TEXT, AT(ca_file), 0, 0, NULL, OF_HTTP | OF_MCP},
    {"insecure_skip_verify", FIELD_BOOL, AT(insecure_skip_verify), 0, 0, NULL, OF_HTTP | OF_MCP},
    {"command", FIELD_LIST, AT(command), 0, 0, NULL, OF_MCP | OF_COMMAND},
    {"env", FIELD_MAP, AT(env), 0, 0, NULL, OF_MCP | OF_COMMAND},
    {"era", FIELD_OTHER, 0, 0, 0, read_era, OF_MCP},
    {"cpu", FIELD_DURATION, AT(cpu), NS_PER_S, 3600 * NS_PER_S, NULL, OF_MCP | OF_COMMAND},
    {"output", FIELD_SIZE, AT(output), 1, HELPER_RUN_OUTPUT, NULL, OF_HTTP | OF_MCP | OF_COMMAND},
};

enum { FIELDS = sizeof fields / sizeof *fields };

/* ---- what holds between them ---- */

static bool fault(const struct config_check *c, struct faults *f, const char *expected)
{
    fault_add(f, c->at, "checks", "%s: expected %s", c->name && *c->name ? c->name : "check",
              expected);
    return false;
}

static bool is_set(const char *text)
{
    return text && *text;
}

/* A template's instance lies in a slice of the template's name. */
static bool group_of_unit(struct config_check *c)
{
    const char *at = strchr(c->unit, '@');
    free(c->cgroup);
    c->cgroup = NULL;
    if (strchr(c->unit, '/') || !strchr(c->unit, '.'))
        return false;
    const int n = at ? asprintf(&c->cgroup, "system.slice/system-%.*s.slice/%s",
                                (int)(at - c->unit), c->unit, c->unit)
                     : asprintf(&c->cgroup, "system.slice/%s", c->unit);
    if (n < 0)
        c->cgroup = NULL;
    return n >= 0;
}

static bool finish_process(struct config_check *c, struct faults *f)
{
    const int n = is_set(c->pid_file) + is_set(c->process) + is_set(c->unit) + is_set(c->cgroup);
    if (n != 1)
        return fault(c, f, "exactly one of pid_file, process, unit and cgroup");
    if (is_set(c->unit) && !group_of_unit(c))
        return fault(c, f, "the whole name of a unit, as in mcp.service");
    if (is_set(c->cgroup) && strstr(c->cgroup, ".."))
        return fault(c, f, "a control group without ..");
    if (is_set(c->pid_file) && *c->pid_file != '/')
        return fault(c, f, "an absolute path for pid_file");
    c->plan.pid_file = is_set(c->pid_file) ? c->pid_file : NULL;
    c->plan.process = is_set(c->process) ? c->process : NULL;
    c->plan.cgroup = is_set(c->cgroup) ? c->cgroup : NULL;
    return true;
}

static bool finish_unix(struct config_check *c, struct faults *f)
{
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path;
    if (!is_set(c->path) || *c->path != '/' || strlen(c->path) >= most)
        return fault(c, f, "an absolute path of at most 107 bytes for path");
    c->plan.path = c->path;
    return true;
}

/* "host:port" or "[address]:port"; cuts the host out in place. */
static bool finish_tcp(struct config_check *c, struct faults *f)
{
    char *colon = is_set(c->address) ? strrchr(c->address, ':') : NULL;
    uint64_t port = 0;
    if (!colon || !value_count(colon + 1, &port) || port < 1 || port > 65535)
        return fault(c, f, "host:port, or [address]:port, for address");
    *colon = '\0';
    char *host = c->address;
    const size_t n = strlen(host);
    if (*host == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        host++;
    }
    if (!*host || strlen(host) > ENDPOINT_HOST)
        return fault(c, f, "host:port, or [address]:port, for address");
    c->plan.host = host;
    c->plan.port = (uint16_t)port;
    return true;
}

static bool finish_headers(struct config_check *c, struct faults *f)
{
    struct fields all = {0};
    char why[256] = "";
    bool good = c->headers[0].n <= PLAN_HEADERS;
    if (!good)
        fault(c, f, "at most 16 headers");
    for (size_t i = 0; i < c->headers[0].n && good; i++) {
        const char *name = c->headers[0].items[i], *value = c->headers[1].items[i];
        good = fields_add(&all, name, value, why, sizeof why) == 0;
        c->plan.headers[i] = (struct plan_header){name, value};
        c->plan.nheaders = (unsigned)i + 1;
    }
    if (*why && !good)
        fault_add(f, c->at, "headers", "%s", why);
    fields_fini(&all);
    return good;
}

static bool finish_url(struct config_check *c, struct faults *f)
{
    struct endpoint e;
    char why[256];
    if (!is_set(c->url))
        return fault(c, f, "url");
    if (endpoint_read(&e, c->url, false, 0, why, sizeof why) < 0) {
        fault_add(f, c->at, "checks", "%s: %s", c->name, why);
        return false;
    }
    c->plan.url = c->url;
    c->plan.ca_file = is_set(c->ca_file) ? c->ca_file : NULL;
    c->plan.insecure_skip_verify = c->insecure_skip_verify;
    return finish_headers(c, f);
}

static bool finish_http(struct config_check *c, struct faults *f)
{
    if (is_set(c->body) && (c->head || strlen(c->body) > BODY_MAX || strlen(c->body) > c->output))
        return fault(c, f, "a body of at most 4 KiB, no more than output, and the method GET");
    c->plan.head = c->head;
    c->plan.body = str_of(c->body ? c->body : "");
    c->plan.nstatuses = c->nstatuses;
    memcpy(c->plan.statuses, c->statuses, sizeof c->statuses);
    return finish_url(c, f);
}

static bool finish_command(struct config_check *c, struct faults *f)
{
    const uint64_t cpu = c->cpu ? c->cpu : c->timeout;
    char why[160];
    if (!config_command_pack(&c->argv, &c->environment, &c->command, c->env, why, sizeof why))
        return fault(c, f, why);
    c->plan.argv = buf_str(&c->argv);
    c->plan.env = buf_str(&c->environment);
    c->plan.cpu = (unsigned)((cpu + NS_PER_S - 1) / NS_PER_S);
    return true;
}

static bool finish_mcp(struct config_check *c, struct faults *f)
{
    c->plan.era = c->era;
    if (is_set(c->url) == (c->command.n > 0))
        return fault(c, f, "either url or command");
    return is_set(c->url) ? finish_url(c, f) : finish_command(c, f);
}

static bool finish_kind(struct config_check *c, struct faults *f)
{
    static bool (*const of[CHECK_KINDS])(struct config_check *, struct faults *) = {
        [CHECK_PROCESS] = finish_process, [CHECK_UNIX] = finish_unix,
        [CHECK_TCP] = finish_tcp,         [CHECK_HTTP] = finish_http,
        [CHECK_MCP] = finish_mcp,         [CHECK_COMMAND] = finish_command,
    };
    return of[c->kind](c, f);
}

bool config_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return is_set(name) && strlen(name) < CONFIG_CHECK_NAME &&
           strspn(name, allowed) == strlen(name);
}

static bool is_unique(const struct config_checks *all, const struct config_check *c)
{
    for (const struct config_check *o = all->all; o < c; o++)
        if (is_set(o->name) && strcmp(o->name, c->name) == 0)
            return false;
    return true;
}

static bool finish(struct config_checks *all, struct config_check *c, struct faults *f)
{
    if (!config_name_ok(c->name) || !is_unique(all, c))
        return fault(c, f, "a name of its own, of at most 47 of A-Z a-z 0-9 _ . -");
    if (!c->has_kind)
        return fault(c, f, "kind");
    if (is_set(c->service) &&
        (strlen(c->service) > LIMIT_SERVICE || !text_name_ok(str_of(c->service))))
        return fault(c, f, "a service of at most 127 bytes, without control characters");
    if (!c->timeout)
        c->timeout = c->interval < 5 * NS_PER_S ? c->interval : 5 * NS_PER_S;
    if (c->timeout > c->interval)
        return fault(c, f, "a timeout that is no longer than the interval");
    c->plan.kind = c->kind;
    c->plan.timeout = c->timeout;
    c->plan.output = (uint32_t)c->output;
    return finish_kind(c, f);
}

/* ---- the list ---- */

static bool read_one(struct config_checks *all, const struct tree_node *map, struct faults *f)
{
    struct place set_at[CONFIG_FIELDS_MAX] = {{0}};
    struct config_check *c = &all->all[all->n++];
    c->at = map->at;
    c->interval = 30 * NS_PER_S;
    c->failures = 3;
    c->successes = 2;
    c->output = PLAN_OUTPUT;
    buf_init(&c->argv, HELPER_RUN_BYTES);
    buf_init(&c->environment, HELPER_RUN_BYTES);
    if (!config_fields_read(c, map, "a check", fields, FIELDS, set_at, f))
        return false;
    if (c->has_kind &&
        !config_fields_fit(fields, FIELDS, set_at, c->kind, check_kind_name(c->kind), f))
        return false;
    return finish(all, c, f);
}

bool config_checks_read(struct config_checks *c, const struct tree_node *all, struct faults *f)
{
    const size_t n = config_entries(all);
    bool good = true;
    config_checks_clear(c);
    if (n > CHECK_MAX) {
        fault_add(f, all->at, "checks", "more than %d checks", CHECK_MAX);
        return false;
    }
    c->all = calloc(n ? n : 1, sizeof *c->all);
    if (!c->all)
        return false;
    for (const struct tree_node *e = all->down; e; e = e->next)
        good = read_one(c, e, f) && good;
    return good;
}

void config_checks_clear(struct config_checks *c)
{
    for (size_t i = 0; i < c->n; i++) {
        config_fields_clear(&c->all[i], fields, FIELDS);
        buf_fini(&c->all[i].argv);
        buf_fini(&c->all[i].environment);
    }
    free(c->all);
    *c = (struct config_checks){0};
}
