/* Bytes to the configuration parser: as a file, and each line as an override. Whatever is
 * taken is good for all that the daemon does with a configuration. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bound.h"
#include "daemon/domains.h"
#include "daemon/options.h"
#include "pipeline/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct config *c)
{
    struct pipeline_options pipeline;
    struct intake_options intake;
    char *text = NULL;
    size_t n;
    options_pipeline(c, &pipeline);
    options_intake(c, 1000, &intake);
    assert(pipeline.domains >= 1 && pipeline.domains <= DOMAINS_MAX);
    assert(intake.connections >= 1 && intake.connections <= 1000);
    const struct peer me = {.uid = 1};
    assert(domains_choose(c, &me, STR("service"), STR("asked")) < pipeline.domains);
    redact_free(options_redact(c));
    rules_free(options_rules(c));
    FILE *to = open_memstream(&text, &n);
    bound_print(to, c);
    fclose(to);
    free(text);
}

/* rules_files would read files, which is no business of a fuzzer. */
static bool reads_files(const struct config *c)
{
    return c->rules_files.n > 0;
}

static void as_file(const uint8_t *data, size_t size)
{
    struct config c;
    struct faults f;
    faults_init(&f);
    if (!config_init(&c, &f))
        abort();
    const bool read = config_parse(&c, "fuzz", data, size, &f);
    if (read && !reads_files(&c) && config_finish(&c, &f)) {
        assert(f.count == 0);
        use(&c);
    } else if (!reads_files(&c)) {
        assert(f.count > 0 && *faults_text(&f));
    }
    faults_fini(&f);
    config_fini(&c);
}

static void as_overrides(const uint8_t *data, size_t size)
{
    struct config c;
    struct faults f;
    char *text = strndup((const char *)data, size);
    faults_init(&f);
    if (!config_init(&c, &f))
        abort();
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (!config_override(&c, line, &f))
            assert(f.count > 0);
    faults_fini(&f);
    config_fini(&c);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_file(data, size);
    as_overrides(data, size);
    return 0;
}
