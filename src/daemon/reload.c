#include "daemon/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/options.h"
#include "pipeline/span_metrics.h"

/* One log line a fault. */
static void log_faults(struct faults *f)
{
    const char *p = faults_text(f);
    while (*p) {
        const size_t n = strcspn(p, "\n");
        log_error("config", "%.*s", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

/* What needs a restart stays as it is, and is named. */
static void keep_fixed(struct daemon *d, struct config *fresh)
{
    struct buf names;
    buf_init(&names, 4096);
    if (config_keep_fixed(d->config, fresh, &names))
        log_warn("config", "a restart is needed for: %.*s", STR_ARG(buf_str(&names)));
    buf_fini(&names);
}

/* Everything new is made before anything old is given up. */
static bool apply(struct daemon *d, struct config *fresh)
{
    struct pipeline_options pipeline;
    struct intake_options intake;
    struct health_options health;
    struct sampling_options sampling;
    struct str *required;
    struct redact *redact = options_redact(fresh);
    struct rules *rules = options_rules(fresh);
    if (!redact || !rules || !options_health(fresh, &required, &health)) {
        redact_free(redact);
        rules_free(rules);
        return false;
    }
    options_sampling(fresh, &sampling);
    if (!sampling_configure(d->sampling, &sampling)) {
        redact_free(redact);
        rules_free(rules);
        free(required);
        return false;
    }
    keep_fixed(d, fresh);
    const struct config old = *d->config;
    *d->config = *fresh;
    *fresh = old;
    logger_configure(&d->logger, d->config);
    auditor_configure(&d->auditor, d->config);
    options_pipeline(d->config, &pipeline);
    d->pipeline.options = pipeline;
    span_metrics_forget(&d->pipeline);
    d->pipeline.redact = redact;
    d->pipeline.rules = rules;
    redact_free(d->redact);
    rules_free(d->rules);
    d->redact = redact;
    d->rules = rules;
    options_intake(d->config, d->connections, &intake);
    intake_configure(&d->intake, &intake);
    forwarding_configure(d->forwarding, d->config);
    ports_configure(&d->ports, d->config);
    otlp_ports_configure(&d->otlp, d->config);
    web_configure(&d->web, d->config, d->load->used);
    health_watch_configure(&d->health, &health);
    free(d->required);
    d->required = required;
    checking_configure(d->checking, d->config);
    return true;
}

bool daemon_reload(struct daemon *d)
{
    struct config fresh;
    struct faults faults;
    bool done = false;
    notify_reloading(&d->notify);
    faults_init(&faults);
    if (!load_config(d->load, &fresh, &faults)) {
        log_faults(&faults);
        log_error("config", "the configuration stays as it was");
    } else {
        done = apply(d, &fresh);
        if (done)
            log_info("config", "read again");
        else
            log_error("config", "out of memory; the configuration stays as it was");
        config_fini(&fresh);
    }
    faults_fini(&faults);
    notify_send(&d->notify, "READY=1");
    return done;
}
