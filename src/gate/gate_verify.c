#include <crypt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gate/gate_child.h"

enum { QUEUE = 64 }; /* the daemon asks fewer at a time */

struct question {
    uint64_t number;
    char *hash, *password;
};

struct verifier {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct question queue[QUEUE];
    unsigned first, n;
    struct crypt_data data; /* 32 KiB; the thread's */
};

/* In a time that does not depend on where they differ. */
static bool same(const char *a, const char *b)
{
    const size_t n = strlen(a);
    unsigned char differ = n != strlen(b);
    for (size_t i = 0; !differ && i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

static void answer(const struct verifier *v, uint64_t number, bool yes)
{
    const struct gate_message m = {.kind = GATE_VERIFIED, .number = number, .yes = yes};
    (void)gate_send(v->fd, &m, STR(""), NULL); /* a daemon that has gone needs no answer */
}

static void forget(char *secret)
{
    explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void check(struct verifier *v, struct question *q)
{
    const char *made = crypt_r(q->password, q->hash, &v->data);
    const bool yes = made && made[0] != '*' && same(q->hash, made);
    explicit_bzero(&v->data, sizeof v->data);
    forget(q->password);
    forget(q->hash);
    answer(v, q->number, yes);
}

static void *run(void *arg)
{
    struct verifier *v = arg;
    for (;;) {
        pthread_mutex_lock(&v->lock);
        while (v->n == 0)
            pthread_cond_wait(&v->asked, &v->lock);
        struct question q = v->queue[v->first];
        v->first = (v->first + 1) % QUEUE;
        v->n--;
        pthread_mutex_unlock(&v->lock);
        check(v, &q);
    }
    return NULL;
}

struct verifier *verifier_new(int fd)
{
    pthread_t thread;
    struct verifier *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->fd = fd;
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->asked, NULL);
    if (pthread_create(&thread, NULL, run, v) == 0) {
        pthread_detach(thread);
        return v;
    }
    free(v);
    return NULL;
}

void verifier_ask(struct verifier *v, uint64_t number, const char *hash, const char *password)
{
    const struct question q = {number, strdup(hash), strdup(password)};
    pthread_mutex_lock(&v->lock);
    const bool room = v->n < QUEUE && q.hash && q.password;
    if (room)
        v->queue[(v->first + v->n++) % QUEUE] = q;
    pthread_cond_signal(&v->asked);
    pthread_mutex_unlock(&v->lock);
    if (room)
        return;
    free(q.hash);
    if (q.password)
        forget(q.password);
    answer(v, number, false);
}
