/* figure_class: which figures are better when they are smaller, told from a metric's name. */
#include <stdio.h>
#include <string.h>

#include "cli/figure.h"

/* Words between underscores or dots. The first row that matches decides. */
static const struct {
    const char *word;
    enum figure_class class;
    bool not_of_counters; /* a count of such does not get better by being smaller */
} words[] = {
    {"timestamp", FIGURE_OTHER, false},  {"created", FIGURE_OTHER, false},
    {"start", FIGURE_OTHER, false},      {"uptime", FIGURE_OTHER, false},
    {"limit", FIGURE_OTHER, false},      {"max", FIGURE_OTHER, false},
    {"error", FIGURE_ERRORS, false},     {"errors", FIGURE_ERRORS, false},
    {"fail", FIGURE_ERRORS, false},      {"fails", FIGURE_ERRORS, false},
    {"failed", FIGURE_ERRORS, false},    {"failure", FIGURE_ERRORS, false},
    {"failures", FIGURE_ERRORS, false},  {"dropped", FIGURE_ERRORS, false},
    {"drops", FIGURE_ERRORS, false},     {"lost", FIGURE_ERRORS, false},
    {"loss", FIGURE_ERRORS, false},      {"rejected", FIGURE_ERRORS, false},
    {"rejects", FIGURE_ERRORS, false},   {"timeout", FIGURE_ERRORS, false},
    {"timeouts", FIGURE_ERRORS, false},  {"overrun", FIGURE_ERRORS, false},
    {"overruns", FIGURE_ERRORS, false},  {"refused", FIGURE_ERRORS, false},
    {"denied", FIGURE_ERRORS, false},    {"discarded", FIGURE_ERRORS, false},
    {"crashes", FIGURE_ERRORS, false},   {"restarts", FIGURE_ERRORS, false},
    {"retries", FIGURE_ERRORS, false},   {"throughput", FIGURE_THROUGHPUT, false},
    {"second", FIGURE_THROUGHPUT, true}, {"cpu", FIGURE_RESOURCES, false},
    {"memory", FIGURE_RESOURCES, true},  {"rss", FIGURE_RESOURCES, true},
    {"heap", FIGURE_RESOURCES, true},    {"fds", FIGURE_RESOURCES, true},
    {"bytes", FIGURE_RESOURCES, true},   {"duration", FIGURE_LATENCY, true},
    {"latency", FIGURE_LATENCY, true},   {"delay", FIGURE_LATENCY, true},
    {"lag", FIGURE_LATENCY, true},       {"age", FIGURE_LATENCY, true},
    {"seconds", FIGURE_LATENCY, true},
};

/* Labels whose value says that what was counted had failed; NULL: any value does. */
static const struct {
    const char *key, *value;
} failures[] = {
    {"error_type", NULL},   {"error.type", NULL},     {"outcome", "error"}, {"outcome", "failed"},
    {"outcome", "timeout"}, {"status", "error"},      {"status", "failed"}, {"result", "error"},
    {"result", "failed"},   {"otel_status", "ERROR"},
};

static bool has_word(struct str name, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = name.p, *end = p + name.n; p < end;) {
        const char *q = p;
        while (q < end && *q != '_' && *q != '.')
            q++;
        if ((size_t)(q - p) == n && memcmp(p, word, n) == 0)
            return true;
        p = q + 1;
    }
    return false;
}

/* Labels as figure_name() wrote them. */
static bool has_failed(const char *labels)
{
    char text[64];
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        for (int first = 0; first < 2; first++) {
            const char *value = failures[i].value;
            snprintf(text, sizeof text, "%c%s=\"%s%s", first ? '{' : ',', failures[i].key,
                     value ? value : "", value ? "\"" : "");
            if (strstr(labels, text))
                return true;
        }
    return false;
}

void figure_classify(struct figure *f)
{
    const char *labels = strchrnul(f->name, '{');
    const struct str name = {f->name, (size_t)(labels - f->name)};
    f->class = FIGURE_OTHER;
    if (f->counts && has_failed(labels)) {
        f->class = FIGURE_ERRORS;
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const bool skip = (words[i].not_of_counters && f->counts) ||
                          (words[i].class == FIGURE_ERRORS && f->nbuckets);
        if (!skip && has_word(name, words[i].word)) {
            f->class = words[i].class;
            break;
        }
    }
    f->more_is_better = f->class == FIGURE_THROUGHPUT;
}
