/* domain: the failure domains of a daemon, shown, reset and drained. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/domain_text.h"
#include "cli/options.h"
#include "cli/source.h"
#include "format/domain_doc.h"
#include "format/ledger.h"

static const struct option_row rows[] = {SOURCE_ROWS, SOURCE_JSON};

static const struct options options = {
    .command = "domain",
    .usage = "[list] [--json]\nshow N [--json]\nreset N\ndrain N",
    .about = "Shows the failure domains: the breaker, the ledger and the availability of each. "
             "reset closes the breaker of one, fills its budgets and ends its drain; drain empties "
             "it and keeps it so until it is reset.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { ANSWER_MAX = 4 << 20 };

/* What was asked for. */
struct asked {
    bool list, changes;
    unsigned domain;
    char request[96];
};

static bool read_number(const char *text, unsigned *out)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    *out = (unsigned)n;
    return *text >= '0' && *text <= '9' && *end == '\0' && n < STORE_DOMAINS;
}

/* False after a message. */
static bool read_words(int n, char **words, struct asked *a)
{
    static const char *const verbs[][2] = {
        {"show", "domain"}, {"reset", "domain.reset"}, {"drain", "domain.drain"}};
    const char *verb = n > 0 ? words[0] : "list";
    *a = (struct asked){.list = strcmp(verb, "list") == 0};
    if (a->list && n <= 1) {
        snprintf(a->request, sizeof a->request, "{\"cmd\":\"domains\"}");
        return true;
    }
    size_t i = 0;
    while (i < sizeof verbs / sizeof *verbs && strcmp(verb, verbs[i][0]) != 0)
        i++;
    if (i == sizeof verbs / sizeof *verbs)
        return options_wrong(&options, "what is '%s'?", words[a->list ? 1 : 0]), false;
    if (n != 2)
        return options_wrong(&options, "expected %s N", verb), false;
    if (!read_number(words[1], &a->domain))
        return options_wrong(&options, "a domain is a number below %d, not '%s'", STORE_DOMAINS,
                             words[1]),
               false;
    a->changes = i > 0;
    snprintf(a->request, sizeof a->request, "{\"cmd\":\"%s\",\"domain\":%u}", verbs[i][1],
             a->domain);
    return true;
}

/* The same documents for a daemon that is gone. */
static int describe_store(struct buf *to, const struct view *v, const struct place *place,
                          void *arg)
{
    const struct store *st = &v->store;
    const struct asked *a = arg;
    struct json_writer j = json_begin(to);
    struct ledger l;
    if (a->changes)
        return source_no_daemon(to, v, place, arg);
    if (a->list) {
        domain_doc_list(&j, st, NULL, clock_now());
        return CLI_OK;
    }
    if (a->domain >= domain_doc_count(st)) {
        cli_error("the store has no domain %u", a->domain);
        return CLI_FAILURE;
    }
    ledger_read(st, &l);
    domain_doc(&j, NULL, st, &l, a->domain, NULL, clock_now());
    return CLI_OK;
}

static void as_text(struct buf *to, const json_t *doc, void *arg)
{
    const struct asked *a = arg;
    if (a->list)
        domain_text_list(to, doc);
    else
        domain_text(to, doc);
}

int cmd_domain(int argc, char **argv)
{
    struct source_options o = SOURCE_DEFAULTS;
    struct asked asked;
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (!read_words(n, argv + 1, &asked))
        return CLI_USAGE;
    const struct source_question question = {
        .request = asked.request,
        .most = ANSWER_MAX,
        .stored = describe_store,
        .text = as_text,
        .arg = &asked,
    };
    return source_print(&options, &o, &question);
}
