/* fake_helper: names and files without the helper process, for programs that drive the
 * transports alone. A table of names stands for DNS. */
#ifndef MCPTALLY_TESTS_FAKE_HELPER_H
#define MCPTALLY_TESTS_FAKE_HELPER_H

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper/helper.h"

struct fake_name {
    const char *host;
    unsigned n;
    const char *address[HELPER_ADDRESSES];
};

struct helper {
    struct event_base *base;
    unsigned nnames;
    struct fake_name names[8];
    unsigned resolved, read; /* questions */
};

struct helper_call {
    struct helper *helper;
    struct event *event;
    char *question;
    uint16_t port;
    helper_resolved *resolved;
    helper_file *file;
    void *arg;
};

void helper_forget(struct helper_call *c)
{
    event_free(c->event);
    free(c->question);
    free(c);
}

static inline unsigned fake_addresses(const struct helper_call *c, struct sockaddr_storage *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->helper->nnames; i++) {
        const struct fake_name *name = &c->helper->names[i];
        if (strcmp(name->host, c->question) != 0)
            continue;
        for (; n < name->n; n++) {
            struct sockaddr_in *v4 = (struct sockaddr_in *)&out[n];
            *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(c->port)};
            assert(inet_pton(AF_INET, name->address[n], &v4->sin_addr) == 1);
        }
    }
    return n;
}

static inline void fake_answer_name(struct helper_call *c)
{
    struct sockaddr_storage a[HELPER_ADDRESSES] = {0};
    const unsigned n = fake_addresses(c, a);
    c->resolved(c->arg, n ? 0 : -ERR_NOTFOUND, a, n);
}

static inline void fake_answer_file(struct helper_call *c)
{
    FILE *f = fopen(c->question, "rb");
    char *bytes = malloc(HELPER_FILE);
    assert(bytes);
    const size_t n = f ? fread(bytes, 1, HELPER_FILE, f) : 0;
    c->file(c->arg, f ? 0 : -ERR_NOTFOUND, (struct str){bytes, n});
    if (f)
        fclose(f);
    free(bytes);
}

static inline void fake_answer(evutil_socket_t fd, short what, void *arg)
{
    struct helper_call *c = arg;
    (void)fd;
    (void)what;
    if (c->resolved)
        fake_answer_name(c);
    else
        fake_answer_file(c);
    helper_forget(c);
}

static inline struct helper_call *fake_ask(struct helper *h, const char *question, void *arg)
{
    static const struct timeval soon = {0, 1000};
    struct helper_call *c = calloc(1, sizeof *c);
    assert(c);
    *c = (struct helper_call){.helper = h, .question = strdup(question), .arg = arg};
    c->event = event_new(h->base, -1, 0, fake_answer, c);
    assert(c->question && c->event && event_add(c->event, &soon) == 0);
    return c;
}

struct helper_call *helper_resolve(struct helper *h, const char *host, uint16_t port,
                                   helper_resolved *done, void *arg)
{
    struct helper_call *c = fake_ask(h, host, arg);
    h->resolved++;
    c->port = port;
    c->resolved = done;
    return c;
}

struct helper_call *helper_read_file(struct helper *h, const char *path, helper_file *done,
                                     void *arg)
{
    struct helper_call *c = fake_ask(h, path, arg);
    h->read++;
    c->file = done;
    return c;
}

#endif
