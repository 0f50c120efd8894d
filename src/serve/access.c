#include "serve/access.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { DIGEST = 32, SECRET = 32 };

struct digest {
    unsigned char bytes[DIGEST];
};

/* What is remembered; the oldest gives way. */
struct memory {
    struct digest *all;
    unsigned n, size, next;
};

struct access_check {
    uint64_t question; /* 0: free */
    struct digest digest;
    struct client_address from;
    bool known; /* the user is one of ours */
    TAILQ_HEAD(, access_wait) waiting;
};

struct access {
    const struct web_config *config; /* NULL: not yet */
    access_verify *verify;
    void *arg;
    unsigned char secret[SECRET];
    struct digest right_digests[ACCESS_RIGHT], wrong_digests[ACCESS_WRONG];
    struct memory right, wrong;
    struct access_check checks[ACCESS_CHECKS];
    unsigned waiting;
    uint64_t questions;
    uint64_t credit, credited; /* of the rate limit: ns saved, up to when */
};

/* ---- memory ---- */

static bool digest_eq(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, DIGEST) == 0;
}

static bool remembers(const struct memory *m, const struct digest *d)
{
    bool found = false;
    for (unsigned i = 0; i < m->n; i++)
        found |= digest_eq(&m->all[i], d);
    return found;
}

static void remember(struct memory *m, const struct digest *d)
{
    m->all[m->next] = *d;
    m->next = (m->next + 1) % m->size;
    if (m->n < m->size)
        m->n++;
}

static void forget_all(struct memory *m)
{
    explicit_bzero(m->all, m->size * sizeof *m->all);
    m->n = m->next = 0;
}

/* Of the user's name, password and hash, with a secret: what is remembered tells nobody
 * anything, and no longer holds when the hash is another one. */
static void make_digest(const struct access *a, struct str credentials, const char *hash,
                        struct digest *to)
{
    char text[ACCESS_PASSWORD + 64];
    const size_t n = strlen(hash);
    memcpy(text, hash, n);
    memcpy(text + n, credentials.p, credentials.n);
    unsigned size = DIGEST;
    HMAC(EVP_sha256(), a->secret, SECRET, (unsigned char *)text, n + credentials.n, to->bytes,
         &size);
    explicit_bzero(text, sizeof text);
}

/* ---- tokens ---- */

static enum access_verdict judge_token(const struct access *a, const char *token)
{
    unsigned char digest[WEB_TOKEN];
    unsigned size = sizeof digest;
    bool found = false;
    if (EVP_Digest(token, strlen(token), digest, &size, EVP_sha256(), NULL) != 1)
        return ACCESS_BUSY;
    for (size_t i = 0; i < a->config->ntokens; i++)
        found |= CRYPTO_memcmp(digest, a->config->tokens[i].sha256, WEB_TOKEN) == 0;
    return found ? ACCESS_GRANTED : ACCESS_DENIED;
}

/* ---- passwords ---- */

static struct access_check *find_check(struct access *a, const struct digest *d)
{
    for (unsigned i = 0; i < ACCESS_CHECKS; i++)
        if (a->checks[i].question && digest_eq(&a->checks[i].digest, d))
            return &a->checks[i];
    return NULL;
}

/* A free one, unless the client has his share. */
static struct access_check *new_check(struct access *a, const struct client_address *from)
{
    struct access_check *room = NULL;
    unsigned his = 0;
    for (unsigned i = 0; i < ACCESS_CHECKS; i++) {
        struct access_check *c = &a->checks[i];
        if (!c->question)
            room = c;
        else if (client_address_eq(&c->from, from))
            his++;
    }
    return his < ACCESS_EACH ? room : NULL;
}

static struct access_check *begin_check(struct access *a, const char *hash, struct str password,
                                        const struct client_address *from)
{
    struct access_check *c = new_check(a, from);
    if (!c || !a->verify(a->arg, a->questions + 1, hash, password))
        return NULL;
    c->question = ++a->questions;
    c->from = *from;
    TAILQ_INIT(&c->waiting);
    return c;
}

/* NULL when nobody has that name. */
static const char *hash_of(const struct access *a, struct str name)
{
    const char *hash = NULL;
    for (size_t i = 0; i < a->config->nusers; i++)
        if (str_eq(str_of(a->config->users[i].name), name))
            hash = a->config->users[i].hash;
    return hash;
}

/* A password of nobody is checked like any other, and is wrong: who guesses names learns
 * none from the time it takes. */
static enum access_verdict judge_password(struct access *a, struct str credentials, struct str name,
                                          const struct client_address *from, struct access_wait *w)
{
    const struct str password = {name.p + name.n + 1, credentials.n - name.n - 1};
    const char *own = hash_of(a, name), *hash = own ? own : a->config->users[0].hash;
    struct digest d;
    make_digest(a, credentials, hash, &d);
    if (remembers(&a->right, &d))
        return ACCESS_GRANTED;
    if (remembers(&a->wrong, &d))
        return ACCESS_DENIED;
    struct access_check *c = find_check(a, &d);
    if (a->waiting >= ACCESS_WAITING || (!c && !(c = begin_check(a, hash, password, from))))
        return ACCESS_BUSY;
    c->digest = d;
    c->known = own != NULL;
    w->check = c;
    TAILQ_INSERT_TAIL(&c->waiting, w, link);
    a->waiting++;
    return ACCESS_LATER;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The bytes of a text, padded or not; how many, or -1 when it is no base64 or too long. */
static int base64(const char *text, char *to, size_t size)
{
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (; *text && *text != '='; text++) {
        const int digit = base64_digit(*text);
        if (digit < 0 || n == size)
            return -1;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (char)(bits >> have & 0xff);
        }
    }
    return strspn(text, "=") == strlen(text) ? (int)n : -1;
}

static enum access_verdict judge_basic(struct access *a, const char *encoded,
                                       const struct client_address *from, struct access_wait *w)
{
    char text[ACCESS_PASSWORD];
    enum access_verdict v = ACCESS_DENIED;
    const int n = a->config->nusers ? base64(encoded, text, sizeof text) : -1;
    const char *colon = n > 0 ? memchr(text, ':', (size_t)n) : NULL;
    if (colon && !memchr(text, '\0', (size_t)n)) {
        const struct str all = {text, (size_t)n}, name = {text, (size_t)(colon - text)};
        v = judge_password(a, all, name, from, w);
    }
    explicit_bzero(text, sizeof text);
    return v;
}

/* ---- asking ---- */

/* What follows "scheme ", NULL when it is another one. */
static const char *after(const char *authorization, const char *scheme)
{
    const size_t n = strlen(scheme);
    if (strncasecmp(authorization, scheme, n) != 0 || authorization[n] != ' ')
        return NULL;
    return authorization + n + strspn(authorization + n, " ");
}

/* Whether anybody has to say who he is. */
static bool asks(const struct access *a)
{
    return a->config && web_config_asks(a->config);
}

enum access_verdict access_ask(struct access *a, const char *authorization,
                               const struct client_address *from, struct access_wait *w)
{
    const char *rest;
    w->check = NULL;
    if (!asks(a))
        return ACCESS_GRANTED;
    if (authorization && (rest = after(authorization, "Bearer")))
        return judge_token(a, rest);
    if (authorization && (rest = after(authorization, "Basic")))
        return judge_basic(a, rest, from, w);
    return ACCESS_DENIED;
}

void access_forget(struct access *a, struct access_wait *w)
{
    if (!w->check)
        return;
    TAILQ_REMOVE(&w->check->waiting, w, link);
    w->check = NULL;
    a->waiting--;
}

/* Its place is free before anybody is told, for he may ask again. */
static void end_check(struct access *a, struct access_check *c, enum access_verdict v)
{
    TAILQ_HEAD(, access_wait) told = TAILQ_HEAD_INITIALIZER(told);
    struct access_wait *w;
    while ((w = TAILQ_FIRST(&c->waiting))) {
        access_forget(a, w);
        TAILQ_INSERT_TAIL(&told, w, link);
    }
    c->question = 0;
    while ((w = TAILQ_FIRST(&told))) {
        TAILQ_REMOVE(&told, w, link);
        w->done(w, v);
    }
}

void access_verified(struct access *a, uint64_t question, bool right)
{
    for (unsigned i = 0; i < ACCESS_CHECKS; i++) {
        struct access_check *c = &a->checks[i];
        if (!question || c->question != question)
            continue;
        right = right && c->known;
        remember(right ? &a->right : &a->wrong, &c->digest);
        end_check(a, c, right ? ACCESS_GRANTED : ACCESS_DENIED);
        return;
    }
}

void access_lost(struct access *a)
{
    for (unsigned i = 0; i < ACCESS_CHECKS; i++)
        if (a->checks[i].question)
            end_check(a, &a->checks[i], ACCESS_BUSY);
}

/* ---- what the configuration says ---- */

const char *access_challenge(struct access *a)
{
    if (!a->config->nusers)
        return "Bearer realm=\"mcptally\"";
    return a->config->ntokens ? "Basic realm=\"mcptally\", charset=\"UTF-8\", Bearer"
                              : "Basic realm=\"mcptally\", charset=\"UTF-8\"";
}

const char *access_header(const struct access *a, enum web_header h)
{
    return a->config ? a->config->headers[h] : "";
}

bool access_rate(struct access *a, uint64_t now)
{
    const struct web_config *w = a->config;
    if (!w || !w->interval)
        return true;
    const uint64_t most = w->interval * w->burst;
    const uint64_t saved = a->credit + (now - a->credited);
    a->credit = saved < most ? saved : most;
    a->credited = now;
    if (a->credit < w->interval)
        return false;
    a->credit -= w->interval;
    return true;
}

/* Who waits is told to ask again: the user may be gone. */
void access_configure(struct access *a, const struct web_config *w)
{
    a->config = w;
    forget_all(&a->right);
    forget_all(&a->wrong);
    access_lost(a);
    a->credit = w->interval * w->burst;
    a->credited = 0;
}

/* ---- life ---- */

struct access *access_new(access_verify *verify, void *arg)
{
    struct access *a = calloc(1, sizeof *a);
    if (!a || getrandom(a->secret, SECRET, 0) != SECRET) {
        free(a);
        return NULL;
    }
    a->verify = verify;
    a->arg = arg;
    a->right = (struct memory){.all = a->right_digests, .size = ACCESS_RIGHT};
    a->wrong = (struct memory){.all = a->wrong_digests, .size = ACCESS_WRONG};
    return a;
}

void access_free(struct access *a)
{
    if (!a)
        return;
    assert(a->waiting == 0);
    explicit_bzero(a, sizeof *a);
    free(a);
}
