/* Names are looked up in threads of the helper, so that a name server that does not
 * answer holds up neither the disk nor another name. A thread lives while there are
 * names to look up: an idle helper has none. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper/child.h"

enum {
    THREADS = 16,      /* lookups at one time; further ones wait */
    WAITING = 256,     /* the daemon gives up waiting long before a name server does */
    STACK = 512 << 10, /* what getaddrinfo() may need, its modules included */
};

struct lookup {
    struct lookup *next;
    struct message question;
    char host[257];
};

struct resolver {
    struct answers *answers;
    pthread_mutex_t lock;
    struct lookup *first, **last;
    unsigned threads, waiting;
};

struct resolver *resolver_new(struct answers *answers)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->answers = answers;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

static int error_of(int eai)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
        return -ERR_NOTFOUND;
    case EAI_AGAIN:
        return -ERR_TIMEOUT;
    case EAI_MEMORY:
        return -ERR_NOMEM;
    default:
        return -ERR_IO;
    }
}

static void answer(struct resolver *r, const struct lookup *l, const struct addrinfo *found, int e)
{
    struct sockaddr_storage addresses[HELPER_ADDRESSES];
    struct message m = l->question;
    unsigned n = 0;
    memset(addresses, 0, sizeof addresses);
    for (; found && n < HELPER_ADDRESSES; found = found->ai_next)
        if (found->ai_addrlen <= sizeof *addresses)
            memcpy(&addresses[n++], found->ai_addr, found->ai_addrlen);
    m.error = e == 0 && n == 0 ? -ERR_NOTFOUND : e;
    m.size = m.error ? 0 : (uint32_t)(n * sizeof *addresses);
    answers_send(r->answers, &m, addresses);
}

static void look_up(struct resolver *r, const struct lookup *l)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", l->question.port);
    const int e = error_of(getaddrinfo(l->host, port, &hints, &found));
    answer(r, l, found, e);
    if (found)
        freeaddrinfo(found);
}

/* The next name, or NULL, and then this thread does not count any more. */
static struct lookup *take(struct resolver *r)
{
    pthread_mutex_lock(&r->lock);
    struct lookup *l = r->first;
    if (l) {
        r->first = l->next;
        r->last = r->first ? r->last : &r->first;
        r->waiting--;
    } else {
        r->threads--;
    }
    pthread_mutex_unlock(&r->lock);
    return l;
}

static void *run(void *arg)
{
    struct resolver *r = arg;
    for (struct lookup *l; (l = take(r)) != NULL; free(l))
        look_up(r, l);
    return NULL;
}

static bool start_thread(struct resolver *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    const bool ok = pthread_create(&thread, &attr, run, r) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

/* Puts it at the end; whether a thread should be started for it. */
static bool put(struct resolver *r, struct lookup *l)
{
    pthread_mutex_lock(&r->lock);
    *r->last = l;
    r->last = &l->next;
    r->waiting++;
    const bool more = r->threads < THREADS;
    r->threads += more;
    pthread_mutex_unlock(&r->lock);
    return more;
}

static bool full(struct resolver *r)
{
    pthread_mutex_lock(&r->lock);
    const bool yes = r->waiting >= WAITING;
    pthread_mutex_unlock(&r->lock);
    return yes;
}

void resolver_ask(struct resolver *r, const struct message *question, const char *host)
{
    struct lookup *l = full(r) ? NULL : calloc(1, sizeof *l);
    if (!l) {
        struct message m = *question;
        m.error = -ERR_FULL;
        m.size = 0;
        answers_send(r->answers, &m, NULL);
        return;
    }
    l->question = *question;
    memcpy(l->host, host, question->size);
    if (put(r, l) && !start_thread(r))
        run(r); /* then it is this one that waits */
}
