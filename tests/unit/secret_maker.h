/* secret_maker: secrets in every form that they come in, the same every time. */
#ifndef MCPTALLY_TESTS_SECRET_MAKER_H
#define MCPTALLY_TESTS_SECRET_MAKER_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct secret_maker {
    uint64_t state;
    char core[128]; /* what must be gone: a text that comes once */
    struct buf key; /* of a value that is a secret by its key alone; else "note" */
    struct buf value;
    struct buf text; /* free text with it inside */
};

static inline void secret_maker_init(struct secret_maker *m, uint64_t seed)
{
    m->state = seed;
    buf_init(&m->key, 1 << 16);
    buf_init(&m->value, 1 << 16);
    buf_init(&m->text, 1 << 16);
}

static inline void secret_maker_fini(struct secret_maker *m)
{
    buf_fini(&m->key);
    buf_fini(&m->value);
    buf_fini(&m->text);
}

static inline unsigned below(struct secret_maker *m, unsigned n)
{
    m->state = m->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(m->state >> 33) % n;
}

#define MAKER_WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static inline void random_core(struct secret_maker *m, const char *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        m->core[i] = from[below(m, (unsigned)strlen(from))];
    m->core[n] = '\0';
    m->core[n / 2] = '7'; /* a digit, which looks like a secret in any company */
}

static inline void base64(struct buf *to, const char *s, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)s[i] << 16;
        v |= i + 1 < n ? (uint32_t)(uint8_t)s[i + 1] << 8 : 0;
        v |= i + 2 < n ? (uint8_t)s[i + 2] : 0;
        for (unsigned k = 0; k < 4; k++)
            buf_addc(to, i + k > n ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
}

static inline void percent(struct buf *to, const char *s)
{
    for (; *s; s++)
        buf_addf(to, strchr(MAKER_WORD, *s) ? "%c" : "%%%02X", (unsigned char)*s);
}

static inline const char *secret_key_name(struct secret_maker *m)
{
    static const char *const keys[] = {
        "password",    "api_key",    "clientSecret",   "access_token",
        "DB_PASSWORD", "privateKey", "Authorization",  "refresh-token",
        "x-api-key",   "passphrase", "session.cookie", "http.request.header.authorization",
    };
    return keys[below(m, sizeof keys / sizeof *keys)];
}

enum { SECRET_FORMS = 14 };

/* The forms that are a text around the secret. */
static inline void make_simple(struct secret_maker *m, unsigned form)
{
    static const char *const around[][2] = {
        {"sent eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", ""},
        {"header was Bearer ", ", refused"},
        {"GET https://user:", "@example.org:8443/a?b=1 failed"},
        {"{\"content\":[{\"text\":\"{\\\"api_key\\\":\\\"", "\\\"}\"}]}"},
        {"-----BEGIN RSA PRIVATE KEY-----\nMII", "\n-----END RSA PRIVATE KEY-----"},
        {"the password is ", ""},
        {"Password: ", ""},
        {"token = ", ""},
        {"curl --password ", " https://example.org"},
    };
    buf_addf(&m->text, "%s%s%s", around[form][0], m->core, around[form][1]);
}

/* One of SECRET_FORMS forms. */
static inline void secret_make(struct secret_maker *m, unsigned form)
{
    static const char *const prefixes[] = {"ghp_", "sk-proj-9", "xoxb-1", "glpat-", "AIza"};
    const char *key = secret_key_name(m);
    buf_reset(&m->key);
    buf_reset(&m->value);
    buf_reset(&m->text);
    buf_adds(&m->key, "note");
    random_core(m, MAKER_WORD, form == 2 ? 36 : 16 + below(m, 24));
    switch (form) {
    case 0: /* known by its key alone */
    case 1:
        random_core(m, MAKER_WORD "!#*+-./:;<=>?@^_~", 10 + below(m, 30));
        buf_reset(&m->key);
        buf_adds(&m->key, key);
        buf_adds(&m->value, m->core);
        buf_addf(&m->text, form ? "{\"id\":1,\"%s\":\"%s\",\"ok\":true}" : "with %s=\"%s\" ok", key,
                 m->core);
        return;
    case 2:
        buf_addf(&m->text, "cloning with %s%s as git", prefixes[below(m, 5)], m->core);
        break;
    case 3: /* what is left of it is looked for encoded */
        buf_addf(&m->value, "user:%s", m->core);
        buf_adds(&m->text, "tried Basic ");
        base64(&m->text, m->value.p, m->value.n);
        memcpy(m->core, m->text.p + 12, 24);
        m->core[24] = '\0';
        break;
    case 4:
        buf_addf(&m->value, "%s/+ =", m->core);
        buf_addc(&m->value, '\0');
        buf_adds(&m->text, "https://example.org/login?user=bob&password=");
        percent(&m->text, m->value.p);
        buf_adds(&m->text, "&next=%2Fhome");
        break;
    default:
        make_simple(m, form - 5);
    }
    buf_reset(&m->value);
    buf_addstr(&m->value, buf_str(&m->text));
}

#endif
