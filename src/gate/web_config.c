#include "gate/web_config.h"

#include <stdlib.h>
#include <string.h>

static const struct header {
    const char *name, *dflt;
} headers[WEB_HEADERS] = {
#define X(sym, name, dflt) {name, dflt},
    WEB_HEADER_TABLE(X)
#undef X
};

const char *web_header_name(enum web_header h)
{
    return headers[h].name;
}

const char *web_header_default(enum web_header h)
{
    return headers[h].dflt;
}

bool web_config_init(struct web_config *w)
{
    bool good = true;
    *w = (struct web_config){.tls.prefer_server = true};
    for (unsigned i = 0; i < WEB_HEADERS; i++)
        good &= (w->headers[i] = strdup(headers[i].dflt)) != NULL;
    for (unsigned i = 0; i < WEB_PEMS; i++) {
        good &= (w->tls.pem[i].text = strdup("")) != NULL;
        good &= (w->tls.pem[i].file = strdup("")) != NULL;
    }
    good &= (w->tls.ciphers = strdup("")) != NULL;
    good &= (w->tls.suites = strdup("")) != NULL;
    good &= (w->tls.groups = strdup("")) != NULL;
    return good;
}

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void web_tls_fini(struct web_tls *t)
{
    for (unsigned i = 0; i < WEB_PEMS; i++) {
        forget(t->pem[i].text);
        free(t->pem[i].file);
    }
    free(t->ciphers);
    free(t->suites);
    free(t->groups);
    for (size_t i = 0; i < t->nsans; i++)
        free(t->sans[i]);
    free(t->sans);
}

void web_config_fini(struct web_config *w)
{
    web_tls_fini(&w->tls);
    for (unsigned i = 0; i < WEB_HEADERS; i++)
        free(w->headers[i]);
    for (size_t i = 0; i < w->nusers; i++) {
        free(w->users[i].name);
        forget(w->users[i].hash);
    }
    for (size_t i = 0; i < w->ntokens; i++)
        free(w->tokens[i].name);
    explicit_bzero(w, sizeof *w);
}

bool web_config_asks(const struct web_config *w)
{
    return w->nusers || w->ntokens;
}
