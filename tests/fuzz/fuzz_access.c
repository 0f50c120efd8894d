/* Bytes as Authorization headers, one a line; the first byte says how the passwords are judged
 * and by how many they are tried at once. Nobody is let in who has no right password, and who
 * waits is told once. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "serve/access.h"

enum { WAITS = 64, QUESTIONS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    uint64_t asked[QUESTIONS];
    bool right[QUESTIONS];
    unsigned n, told, granted;
} state;

static const char secret[] = "pw";

static bool verify(void *arg, uint64_t question, const char *hash, struct str password)
{
    (void)arg;
    assert(hash[0] && password.n < ACCESS_PASSWORD);
    if (state.n == QUESTIONS)
        return false;
    state.asked[state.n] = question;
    state.right[state.n++] =
        password.n == strlen(secret) && memcmp(password.p, secret, password.n) == 0;
    return true;
}

static void done(struct access_wait *w, enum access_verdict v)
{
    assert(v != ACCESS_LATER && !w->check);
    state.told++;
    state.granted += v == ACCESS_GRANTED;
}

static void answer_all(struct access *a)
{
    for (unsigned i = 0; i < state.n; i++)
        access_verified(a, state.asked[i], state.right[i]);
    state.n = 0;
}

/* "u:pw" in base64 as everybody writes it, or the token. */
static bool may(const char *header)
{
    return strstr(header, "dTpwd") != NULL || strstr(header, "token") != NULL;
}

static void ask_each(struct access *a, const char *text, size_t size, bool at_once)
{
    static struct access_wait waits[WAITS];
    const struct client_address from = {0};
    unsigned later = 0;
    state.told = state.granted = 0;
    for (size_t i = 0; i < size && later < WAITS; i += strlen(text + i) + 1) {
        waits[later].done = done;
        const enum access_verdict v = access_ask(a, text + i, &from, &waits[later]);
        assert(v != ACCESS_GRANTED || may(text + i));
        later += v == ACCESS_LATER;
        if (at_once)
            answer_all(a);
    }
    answer_all(a);
    assert(state.told == later);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct web_config w;
    if (size < 1)
        return 0;
    if (!w.nusers) {
        const bool good = web_config_init(&w);
        assert(good);
        w.users[w.nusers++] = (struct web_user){strdup("u"), strdup("$2y$10$hash")};
        w.tokens[w.ntokens].name = strdup("t");
        sha256(w.tokens[w.ntokens++].sha256, "token", 5);
    }
    struct access *a = access_new(verify, NULL);
    char *text = malloc(size);
    assert(a && text);
    access_configure(a, &w);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n')
            text[i] = '\0';
    ask_each(a, text, size, data[0] & 1);
    ask_each(a, text, size, data[0] & 2);
    free(text);
    access_free(a);
    return 0;
}
