#include "daemon/commands.h"

#include "daemon/daemon.h"
#include "format/json.h"

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

const struct command daemon_commands[] = {
    /* name, function, whether it changes something */
    {"audit", command_audit, false},
    {"reload", command_reload, true},
};
const unsigned daemon_ncommands = sizeof daemon_commands / sizeof *daemon_commands;
