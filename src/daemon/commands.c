#include "daemon/commands.h"

#include <stdio.h>

#include "daemon/daemon.h"
#include "format/domain_doc.h"
#include "format/json.h"
#include "format/ledger.h"

static const char *command_reload(struct command_call *c)
{
    struct daemon *d = c->arg;
    if (d->state != DAEMON_SERVING)
        return "the daemon is stopping";
    if (!daemon_reload(d))
        return "the configuration stays as it was; the log says why";
    struct json_writer j = json_begin(c->answer);
    json_put_object(&j, NULL);
    json_put_bool(&j, "reloaded", true);
    json_end_object(&j);
    return NULL;
}

static const char *command_audit(struct command_call *c)
{
    const struct daemon *d = c->arg;
    struct json_writer j = json_begin(c->answer);
    auditor_doc(&d->auditor, &j);
    return NULL;
}

/* ---- failure domains ---- */

/* The domain that a request names; -1: none that there is. */
static int domain_of(struct command_call *c)
{
    const struct daemon *d = c->arg;
    const json_t *n = json_object_get(c->request, "domain");
    if (!json_is_integer(n) || json_integer_value(n) < 0 ||
        json_integer_value(n) >= (json_int_t)d->pipeline.options.domains) {
        snprintf(c->why, sizeof c->why, "domain is a number from 0 to %u",
                 d->pipeline.options.domains - 1);
        return -1;
    }
    snprintf(c->object, sizeof c->object, "domain %d", (int)json_integer_value(n));
    return (int)json_integer_value(n);
}

static const char *command_domains(struct command_call *c)
{
    struct daemon *d = c->arg;
    struct json_writer j = json_begin(c->answer);
    pipeline_refresh(&d->pipeline);
    domain_doc_list(&j, d->pipeline.st, &d->pipeline.options.domain, clock_now());
    return NULL;
}

static const char *show_domain(struct command_call *c, unsigned domain)
{
    struct daemon *d = c->arg;
    struct json_writer j = json_begin(c->answer);
    struct ledger l;
    pipeline_refresh(&d->pipeline);
    ledger_read(d->pipeline.st, &l);
    domain_doc(&j, NULL, d->pipeline.st, &l, domain, &d->pipeline.options.domain, clock_now());
    return NULL;
}

static const char *command_domain(struct command_call *c)
{
    const int domain = domain_of(c);
    return domain < 0 ? c->why : show_domain(c, (unsigned)domain);
}

static const char *command_domain_reset(struct command_call *c)
{
    struct daemon *d = c->arg;
    const int domain = domain_of(c);
    if (domain < 0)
        return c->why;
    domain_reset(&d->pipeline, (unsigned)domain, c->who, clock_now());
    return show_domain(c, (unsigned)domain);
}

static const char *command_domain_drain(struct command_call *c)
{
    struct daemon *d = c->arg;
    const int domain = domain_of(c);
    if (domain < 0)
        return c->why;
    domain_drain(&d->pipeline, (unsigned)domain, c->who, clock_now());
    intake_shut(&d->intake);
    return show_domain(c, (unsigned)domain);
}

const struct command daemon_commands[] = {
    /* name, function, whether it changes something */
    {"audit", command_audit, false},
    {"reload", command_reload, true},
    {"domains", command_domains, false},
    {"domain", command_domain, false},
    {"domain.reset", command_domain_reset, true},
    {"domain.drain", command_domain_drain, true},
};
const unsigned daemon_ncommands = sizeof daemon_commands / sizeof *daemon_commands;
