#include "daemon/config_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "daemon/value.h"
#include "daemon/config_table.h"
#include "export/endpoint.h"
#include "export/fields.h"

enum {
    CONCURRENT_MAX = 32,
    TEXT_MAX = 4096, /* of an OTEL_ variable that is read piece by piece */
};
#define TIMEOUT_MIN NS_PER_MS
#define TIMEOUT_MAX (600 * NS_PER_S)

static const char list_key[] = "export.destinations";

/* ---- one destination ---- */

static bool make(struct config_destination *d)
{
    *d = (struct config_destination){
        .gzip = true,
        .timeout = 10 * NS_PER_S,
        .keepalive = 30 * NS_PER_S,
        .concurrent = 4,
        .signals = (1u << OTLP_SIGNALS) - 1,
        .spool = true,
    };
    char **texts[] = {&d->name,         &d->endpoint, &d->endpoints[0], &d->endpoints[1],
                      &d->endpoints[2], &d->ca_file,  &d->cert_file,    &d->key_file};
    bool good = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good &= (*texts[i] = strdup("")) != NULL;
    return good;
}

static void clear(struct config_destination *d)
{
    free(d->name);
    free(d->endpoint);
    for (unsigned i = 0; i < OTLP_SIGNALS; i++)
        free(d->endpoints[i]);
    free(d->ca_file);
    free(d->cert_file);
    free(d->key_file);
    for (size_t i = 0; i < d->nheaders; i++) {
        free(d->headers[i].name);
        free(d->headers[i].value);
    }
    free(d->headers);
}

static bool set_text(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return false;
    free(*field);
    *field = copy;
    return true;
}

static struct config_destination *append(struct config_destinations *d, struct place at)
{
    struct config_destination *all = realloc(d->all, (d->n + 1) * sizeof *all);
    if (!all)
        return NULL;
    d->all = all;
    struct config_destination *e = &all[d->n++];
    const bool good = make(e);
    e->at = at;
    return good ? e : NULL;
}

static bool add_header(struct config_destination *d, const char *name, const char *value)
{
    struct config_header *all = realloc(d->headers, (d->nheaders + 1) * sizeof *all);
    if (!all)
        return false;
    d->headers = all;
    struct config_header *h = &all[d->nheaders++];
    *h = (struct config_header){strdup(name), strdup(value)};
    return h->name && h->value;
}

static bool read_protocol(struct config_destination *d, const char *text)
{
    d->grpc = strcmp(text, "grpc") == 0;
    return d->grpc || strcmp(text, "http/protobuf") == 0;
}

static bool read_compression(struct config_destination *d, const char *text)
{
    d->gzip = strcmp(text, "gzip") == 0;
    return d->gzip || strcmp(text, "none") == 0;
}

/* ---- from YAML ---- */

struct reading {
    struct config_destination *d;
    struct faults *f;
};

static bool bad(struct reading *r, const struct tree_node *n, const char *expected)
{
    if (n->kind == TREE_SCALAR)
        fault_add(r->f, n->at, n->key, "expected %s, not \"%s\"", expected, n->text);
    else
        fault_add(r->f, n->at, n->key, "expected %s, not %s", expected, tree_kind_name(n));
    return false;
}

enum field_type {
    FIELD_TEXT,
    FIELD_BOOL,
    FIELD_SIZE,
    FIELD_DURATION,
    FIELD_OTHER, /* a function reads it */
};

static bool field_protocol(struct reading *r, const struct tree_node *n)
{
    return (n->kind == TREE_SCALAR && read_protocol(r->d, n->text)) ||
           bad(r, n, "grpc or http/protobuf");
}

static bool field_compression(struct reading *r, const struct tree_node *n)
{
    return (n->kind == TREE_SCALAR && read_compression(r->d, n->text)) || bad(r, n, "gzip or none");
}

static bool field_concurrent(struct reading *r, const struct tree_node *n)
{
    uint64_t v;
    if (n->kind != TREE_SCALAR || !value_count(n->text, &v) || v < 1 || v > CONCURRENT_MAX)
        return bad(r, n, "a number of requests from 1 to 32");
    r->d->concurrent = (unsigned)v;
    return true;
}

static bool field_signals(struct reading *r, const struct tree_node *all)
{
    r->d->signals = 0;
    if (all->kind != TREE_LIST)
        return bad(r, all, "a list of traces, metrics and logs");
    for (const struct tree_node *n = all->down; n; n = n->next) {
        unsigned s = 0;
        while (n->kind == TREE_SCALAR && s < OTLP_SIGNALS &&
               strcmp(n->text, otlp_signal_name(s)) != 0)
            s++;
        if (n->kind != TREE_SCALAR || s == OTLP_SIGNALS) {
            fault_add(r->f, n->at, "signals", "expected traces, metrics or logs");
            return false;
        }
        r->d->signals |= 1u << s;
    }
    return true;
}

static bool field_headers(struct reading *r, const struct tree_node *all)
{
    if (all->kind != TREE_MAP)
        return bad(r, all, "a map from header to value");
    for (const struct tree_node *n = all->down; n; n = n->next) {
        if (n->kind != TREE_SCALAR) {
            fault_add(r->f, n->at, "headers", "expected text");
            return false;
        }
        if (!add_header(r->d, n->key, n->text))
            return false;
    }
    return true;
}

#define AT(field) offsetof(struct config_destination, field)

static const struct {
    const char *key;
    enum field_type type;
    size_t offset;
    bool (*read)(struct reading *r, const struct tree_node *n);
} fields[] = {
    {"name", FIELD_TEXT, AT(name), NULL},
    {"protocol", FIELD_OTHER, 0, field_protocol},
    {"endpoint", FIELD_TEXT, AT(endpoint), NULL},
    {"traces_endpoint", FIELD_TEXT, AT(endpoints[OTLP_TRACES]), NULL},
    {"metrics_endpoint", FIELD_TEXT, AT(endpoints[OTLP_METRICS]), NULL},
    {"logs_endpoint", FIELD_TEXT, AT(endpoints[OTLP_LOGS]), NULL},
    {"signals", FIELD_OTHER, 0, field_signals},
    {"headers", FIELD_OTHER, 0, field_headers},
    {"compression", FIELD_OTHER, 0, field_compression},
    {"timeout", FIELD_DURATION, AT(timeout), NULL},
    {"keepalive", FIELD_DURATION, AT(keepalive), NULL},
    {"concurrent", FIELD_OTHER, 0, field_concurrent},
    {"insecure", FIELD_BOOL, AT(plain), NULL},
    {"insecure_skip_verify", FIELD_BOOL, AT(insecure_skip_verify), NULL},
    {"ca_file", FIELD_TEXT, AT(ca_file), NULL},
    {"cert_file", FIELD_TEXT, AT(cert_file), NULL},
    {"key_file", FIELD_TEXT, AT(key_file), NULL},
    {"spool", FIELD_BOOL, AT(spool), NULL},
    {"spool_size", FIELD_SIZE, AT(spool_size), NULL},
    {"spool_age", FIELD_DURATION, AT(spool_age), NULL},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool read_typed(struct reading *r, unsigned i, const struct tree_node *n)
{
    void *to = (char *)r->d + fields[i].offset;
    if (n->kind != TREE_SCALAR)
        return bad(r, n, "a value");
    switch (fields[i].type) {
    case FIELD_TEXT:
        return set_text(to, n->text);
    case FIELD_BOOL:
        return value_bool(n->text, to) || bad(r, n, "true or false");
    case FIELD_SIZE:
        return value_size(n->text, to) || bad(r, n, "a size such as 256MiB");
    case FIELD_DURATION:
        return value_duration(n->text, to) || bad(r, n, "a duration such as 10s");
    case FIELD_OTHER:
        break;
    }
    return false;
}

static bool read_field(struct reading *r, const struct tree_node *n)
{
    const char *names[FIELDS];
    for (unsigned i = 0; i < FIELDS; i++) {
        if (strcmp(n->key, fields[i].key) == 0)
            return fields[i].read ? fields[i].read(r, n) : read_typed(r, i, n);
        names[i] = fields[i].key;
    }
    const char *near = nearest(n->key, names, FIELDS);
    fault_add(r->f, n->key_at, n->key, "unknown key of a destination%s%s%s",
              near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return false;
}

static bool read_one(struct config_destinations *d, const struct tree_node *map, struct faults *f)
{
    if (map->kind != TREE_MAP) {
        fault_add(f, map->at, list_key, "expected a map, not %s", tree_kind_name(map));
        return false;
    }
    struct reading r = {.d = append(d, map->at), .f = f};
    bool good = r.d != NULL;
    for (const struct tree_node *n = map->down; n && r.d; n = n->next)
        good &= read_field(&r, n);
    return good;
}

bool config_destinations_read(struct config_destinations *d, const struct tree_node *all,
                              struct faults *f)
{
    bool good = true;
    config_destinations_clear(d);
    for (const struct tree_node *n = all->down; n; n = n->next)
        good &= read_one(d, n, f);
    return good;
}

bool config_destinations_parse(struct config_destinations *d, const char *file, const char *text,
                               struct faults *f)
{
    struct tree_node *root = tree_parse(file, text, strlen(text), f);
    bool good = root != NULL;
    config_destinations_clear(d);
    if (root && root->kind == TREE_LIST) {
        good = config_destinations_read(d, root, f);
    } else if (root && *text) {
        fault_add(f, root->at, list_key, "expected a list of maps, not %s", tree_kind_name(root));
        good = false;
    }
    tree_free(root);
    return good;
}

void config_destinations_clear(struct config_destinations *d)
{
    for (size_t i = 0; i < d->n; i++)
        clear(&d->all[i]);
    free(d->all);
    *d = (struct config_destinations){0};
}

/* ---- from the environment ---- */

static const struct place environment = {.file = "environment"};

/* OTEL_EXPORTER_OTLP_<signal>_<what>, or, with OTLP_SIGNALS, the general one. Empty is unset. */
static const char *variable(config_lookup *lookup, unsigned signal, const char *what)
{
    static const char *const words[] = {"TRACES_", "METRICS_", "LOGS_", ""};
    char name[96];
    snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s%s", words[signal], what);
    const char *value = lookup(name);
    return value && *value ? value : NULL;
}

static bool fault(struct faults *f, const char *what, const char *expected)
{
    char name[96];
    snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", what);
    fault_add(f, environment, name, "expected %s", expected);
    return false;
}

/* What a signal has of a variable: its own, else the general one. */
static const char *setting(config_lookup *lookup, unsigned signal, const char *what)
{
    const char *own = variable(lookup, signal, what);
    return own ? own : variable(lookup, OTLP_SIGNALS, what);
}

/* What a destination has one of each of, for all its signals. */
static const char *const settings[] = {"PROTOCOL",   "COMPRESSION", "HEADERS",
                                       "TIMEOUT",    "CERTIFICATE", "CLIENT_CERTIFICATE",
                                       "CLIENT_KEY", "INSECURE"};

static bool is_like(config_lookup *lookup, unsigned a, unsigned b)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *x = setting(lookup, a, settings[i]), *y = setting(lookup, b, settings[i]);
        if (!x != !y || (x && strcmp(x, y) != 0))
            return false;
    }
    return true;
}

static bool is_true(const char *text)
{
    return text && strcasecmp(text, "true") == 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decodes [p, p+n) without the blanks around it. */
static void piece(char *to, const char *p, size_t n)
{
    while (n && (*p == ' ' || *p == '\t'))
        p++, n--;
    while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%' && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            *to++ = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        } else {
            *to++ = p[i];
        }
    }
    *to = '\0';
}

/* "name=value,name=value". */
static bool read_headers(struct config_destination *d, const char *text, struct faults *f)
{
    char name[TEXT_MAX], value[TEXT_MAX];
    if (strlen(text) >= TEXT_MAX)
        return fault(f, "HEADERS", "less than 4096 bytes");
    while (*text) {
        const size_t n = strcspn(text, ","), eq = strcspn(text, "=");
        if (n > 0) {
            if (eq >= n)
                return fault(f, "HEADERS", "name=value, separated by commas");
            piece(name, text, eq);
            piece(value, text + eq + 1, n - eq - 1);
            if (!add_header(d, name, value))
                return false;
        }
        text += n + (text[n] == ',');
    }
    return true;
}

static bool read_environment(struct config_destination *d, config_lookup *lookup, unsigned signal,
                             struct faults *f)
{
    bool good = true;
    const char *protocol = setting(lookup, signal, "PROTOCOL");
    const char *compression = setting(lookup, signal, "COMPRESSION");
    const char *headers = setting(lookup, signal, "HEADERS");
    const char *timeout = setting(lookup, signal, "TIMEOUT");
    const char *ca = setting(lookup, signal, "CERTIFICATE");
    const char *cert = setting(lookup, signal, "CLIENT_CERTIFICATE");
    const char *key = setting(lookup, signal, "CLIENT_KEY");
    d->plain = is_true(setting(lookup, signal, "INSECURE"));
    d->gzip = false; /* what the specification says, unlike our own keys */
    if (protocol && !read_protocol(d, protocol))
        good = fault(f, "PROTOCOL", "grpc or http/protobuf");
    if (compression && !read_compression(d, compression))
        good = fault(f, "COMPRESSION", "gzip or none");
    uint64_t ms;
    if (timeout && value_count(timeout, &ms) && ms <= TIMEOUT_MAX / NS_PER_MS)
        d->timeout = ms * NS_PER_MS;
    else if (timeout)
        good = fault(f, "TIMEOUT", "milliseconds");
    return good && (!headers || read_headers(d, headers, f)) &&
           set_text(&d->ca_file, ca ? ca : "") && set_text(&d->cert_file, cert ? cert : "") &&
           set_text(&d->key_file, key ? key : "");
}

/* The destination of some signals, which agree on everything but the endpoint. */
static bool add_environment(struct config_destinations *d, config_lookup *lookup, const char *name,
                            unsigned signals, struct faults *f)
{
    const char *general = variable(lookup, OTLP_SIGNALS, "ENDPOINT");
    struct config_destination *e = append(d, environment);
    if (!e)
        return false;
    e->signals = signals;
    bool good = set_text(&e->name, name) && set_text(&e->endpoint, general ? general : "");
    for (unsigned s = 0; s < OTLP_SIGNALS; s++) {
        const char *own = signals & 1u << s ? variable(lookup, s, "ENDPOINT") : NULL;
        good &= !own || set_text(&e->endpoints[s], own);
    }
    return read_environment(e, lookup, (unsigned)__builtin_ctz(signals), f) && good;
}

/* "otel" when all signals agree, else one destination for each group of those that do,
 * called after the first of them. */
bool config_destinations_environment(struct config_destinations *d, config_lookup *lookup,
                                     struct faults *f)
{
    unsigned signals = 0;
    char name[OWN_NAME];
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        if (setting(lookup, s, "ENDPOINT"))
            signals |= 1u << s;
    if (is_true(lookup("OTEL_SDK_DISABLED")))
        return true;
    for (unsigned left = signals; left != 0;) {
        const unsigned first = (unsigned)__builtin_ctz(left);
        unsigned group = 0;
        for (unsigned s = first; s < OTLP_SIGNALS; s++)
            if (left & 1u << s && is_like(lookup, first, s))
                group |= 1u << s;
        snprintf(name, sizeof name, group == signals ? "otel" : "otel-%s", otlp_signal_name(first));
        if (!add_environment(d, lookup, name, group, f))
            return false;
        left &= ~group;
    }
    return true;
}

/* ---- as a whole ---- */

static bool name_ok(const char *name)
{
    const size_t n = strlen(name);
    return n > 0 && n < OWN_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static bool is_unique(const struct config_destinations *d, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(d->all[k].name, d->all[i].name) == 0)
            return false;
    return true;
}

/* The general endpoint gets the signal's path over HTTP; one of its own is used as it is. */
static bool make_endpoint(struct config_destination *d, unsigned signal)
{
    char *url = NULL;
    if (*d->endpoints[signal] || !*d->endpoint)
        return true;
    if (d->grpc)
        return set_text(&d->endpoints[signal], d->endpoint);
    const size_t n = strlen(d->endpoint);
    const char *slash = d->endpoint[n - 1] == '/' ? "" : "/";
    if (asprintf(&url, "%s%sv1/%s", d->endpoint, slash, otlp_signal_name(signal)) < 0)
        return false;
    free(d->endpoints[signal]);
    d->endpoints[signal] = url;
    return true;
}

/* Whether the host is this machine, as far as its text says. */
static bool is_here(const char *host)
{
    static const char *const names[] = {"localhost", "::1", "0.0.0.0", "::", "ip6-localhost"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(host, names[i]) == 0)
            return true;
    return strncmp(host, "127.", 4) == 0;
}

static bool comes_back(const struct endpoint *e, const char *const *own, size_t nown)
{
    for (size_t i = 0; i < nown; i++) {
        const char *colon = strrchr(own[i], ':');
        if (!colon || value_off(own[i]) || strtoul(colon + 1, NULL, 10) != e->port || e->port == 0)
            continue;
        const size_t n = strlen(e->host);
        const char *host = own[i] + (*own[i] == '[');
        if (is_here(e->host) ||
            (strncmp(host, e->host, n) == 0 && (host[n] == ':' || host[n] == ']')))
            return true;
    }
    return false;
}

static bool check_endpoint(const struct config_destination *d, unsigned signal,
                           const char *const *own, size_t nown, struct faults *f)
{
    struct endpoint e;
    char why[256];
    if (!*d->endpoints[signal]) {
        fault_add(f, d->at, list_key, "%s: expected endpoint or %s_endpoint", d->name,
                  otlp_signal_name(signal));
        return false;
    }
    if (endpoint_read(&e, d->endpoints[signal], d->grpc && !d->plain, d->grpc ? 4317 : 0, why,
                      sizeof why) < 0) {
        fault_add(f, d->at, list_key, "%s: %s", d->name, why);
        return false;
    }
    if (!comes_back(&e, own, nown))
        return true;
    fault_add(f, d->at, list_key,
              "%s: %s is this daemon's own OTLP receiver: what is sent there would come back for "
              "ever",
              d->name, e.authority);
    return false;
}

static bool check_headers(const struct config_destination *d, struct faults *f)
{
    struct fields all = {0};
    char why[256];
    bool good = true;
    for (size_t i = 0; i < d->nheaders && good; i++) {
        if (fields_add(&all, d->headers[i].name, d->headers[i].value, why, sizeof why) == 0)
            continue;
        fault_add(f, d->at, "headers", "%s", why);
        good = false;
    }
    fields_fini(&all);
    return good;
}

static bool check_rest(const struct config_destination *d, struct faults *f)
{
    const char *why = NULL;
    if (d->timeout < TIMEOUT_MIN || d->timeout > TIMEOUT_MAX)
        why = "timeout: expected 1ms to 10m";
    else if (!*d->cert_file != !*d->key_file)
        why = "expected both cert_file and key_file, or none";
    else if (d->spool_size && d->spool_size < CONFIG_SPOOL_MIN)
        why = "spool_size: expected at least 16MiB";
    else if (d->signals == 0)
        why = "signals: expected at least one";
    if (why)
        fault_add(f, d->at, list_key, "%s: %s", d->name, why);
    return why == NULL;
}

static bool finish_one(struct config_destinations *all, size_t i, const char *const *own,
                       size_t nown, struct faults *f)
{
    struct config_destination *d = &all->all[i];
    if (!name_ok(d->name) || !is_unique(all, i)) {
        fault_add(f, d->at, list_key,
                  "%s: expected a name of its own, of at most %d of a-z 0-9 _ -",
                  *d->name ? d->name : "destination", OWN_NAME - 1);
        return false;
    }
    bool good = true;
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        if (d->signals & 1u << s)
            good &= make_endpoint(d, s) && check_endpoint(d, s, own, nown, f);
    good &= check_headers(d, f);
    return good & check_rest(d, f);
}

bool config_destinations_finish(struct config_destinations *d, const char *const *own, size_t nown,
                                struct faults *f)
{
    bool good = d->n <= OWN_DESTINATIONS;
    if (!good)
        fault_add(f, d->all[OWN_DESTINATIONS].at, list_key, "more than %d destinations",
                  OWN_DESTINATIONS);
    for (size_t i = 0; i < d->n; i++)
        good &= finish_one(d, i, own, nown, f);
    return good;
}
