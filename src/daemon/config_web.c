#include "daemon/config_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "daemon/tree.h"
#include "daemon/value.h"

enum {
    COST_LEAST = 4,
    COST_MOST = 16, /* takes seconds; above it a password would never be found right in time */
    BCRYPT = 60,    /* characters of a hash */
    NAMES_MAX = 16, /* keys of one map that has fixed ones */
};

/* ---- reading a map of fixed keys ---- */

struct reading {
    struct web_config *w;
    const char *file;
    struct faults *f;
};

struct key {
    const char *name;
    bool (*read)(struct reading *r, const struct tree_node *n);
};

static bool wrong(struct reading *r, const struct tree_node *n, const char *what)
{
    fault_add(r->f, n->at, n->key, "expected %s", what);
    return false;
}

static bool no_memory(struct reading *r, const struct tree_node *n)
{
    fault_memory(r->f, n->at, n->key);
    return false;
}

static bool unknown(struct reading *r, const struct tree_node *n, const struct key *keys,
                    size_t nkeys)
{
    const char *names[NAMES_MAX];
    for (size_t i = 0; i < nkeys; i++)
        names[i] = keys[i].name;
    const char *near = nearest(n->key, names, (unsigned)nkeys);
    if (near)
        fault_add(r->f, n->key_at, n->key, "unknown key; did you mean %s?", near);
    else
        fault_add(r->f, n->key_at, n->key, "unknown key; mcptallyd-web.yaml(5) lists them all");
    return false;
}

static bool read_map(struct reading *r, const struct tree_node *map, const struct key *keys,
                     size_t nkeys)
{
    bool good = true;
    if (tree_null(map))
        return true;
    if (map->kind != TREE_MAP)
        return wrong(r, map, "a map of keys");
    for (const struct tree_node *n = map->down; n; n = n->next) {
        size_t i = 0;
        while (i < nkeys && strcmp(keys[i].name, n->key) != 0)
            i++;
        if (i == nkeys)
            good = unknown(r, n, keys, nkeys);
        else
            good = keys[i].read(r, n) && good;
    }
    return good;
}

/* ---- values ---- */

/* A text that may not be a map or list; NULL after a fault. */
static const char *text_of(struct reading *r, const struct tree_node *n)
{
    if (n->kind == TREE_SCALAR)
        return tree_null(n) ? "" : n->text;
    fault_add(r->f, n->at, n->key, "expected text, not %s", tree_kind_name(n));
    return NULL;
}

static bool keep(struct reading *r, const struct tree_node *n, const char *text, char **to)
{
    char *copy = strdup(text);
    if (!copy)
        return no_memory(r, n);
    free(*to);
    *to = copy;
    return true;
}

static bool read_text(struct reading *r, const struct tree_node *n, char **to)
{
    const char *text = text_of(r, n);
    return text && keep(r, n, text, to);
}

static bool read_bool(struct reading *r, const struct tree_node *n, bool *to)
{
    const char *text = text_of(r, n);
    return text && (value_bool(text, to) || wrong(r, n, "true or false"));
}

/* A path begins in the directory of the file that it is named in. */
static bool read_path(struct reading *r, const struct tree_node *n, char **to)
{
    const char *text = text_of(r, n), *slash = strrchr(r->file, '/');
    char path[4096];
    if (!text)
        return false;
    const bool whole = *text == '/' || *text == '\0' || !slash;
    const int size =
        whole ? snprintf(path, sizeof path, "%s", text)
              : snprintf(path, sizeof path, "%.*s%s", (int)(slash + 1 - r->file), r->file, text);
    if (size < 0 || (size_t)size >= sizeof path)
        return wrong(r, n, "a path of less than 4096 bytes");
    return keep(r, n, path, to);
}

static bool add_word(char **list, const char *word)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s%s%s", *list, **list ? ":" : "", word) < 0)
        return false;
    free(*list);
    *list = longer;
    return true;
}

/* ---- tls_server_config ---- */

static bool read_cert(struct reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->w->tls.pem[WEB_CERT].text);
}

static bool read_key(struct reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->w->tls.pem[WEB_KEY].text);
}

static bool read_client_ca(struct reading *r, const struct tree_node *n)
{
    return read_text(r, n, &r->w->tls.pem[WEB_CLIENT_CA].text);
}

static bool read_cert_file(struct reading *r, const struct tree_node *n)
{
    return read_path(r, n, &r->w->tls.pem[WEB_CERT].file);
}

static bool read_key_file(struct reading *r, const struct tree_node *n)
{
    return read_path(r, n, &r->w->tls.pem[WEB_KEY].file);
}

static bool read_client_ca_file(struct reading *r, const struct tree_node *n)
{
    return read_path(r, n, &r->w->tls.pem[WEB_CLIENT_CA].file);
}

static bool read_client_auth(struct reading *r, const struct tree_node *n)
{
    static const char *const words[WEB_CLIENT_AUTHS] = {
#define X(sym, word) word,
        WEB_CLIENT_AUTH_TABLE(X)
#undef X
    };
    const char *text = text_of(r, n);
    if (!text)
        return false;
    for (unsigned i = 0; i < WEB_CLIENT_AUTHS; i++) {
        if (*text && strcmp(words[i], text) != 0)
            continue;
        r->w->tls.client_auth = (enum web_client_auth)i;
        return true;
    }
    return wrong(r, n,
                 "NoClientCert, RequestClientCert, RequireAnyClientCert, "
                 "VerifyClientCertIfGiven or RequireAndVerifyClientCert");
}

static bool read_sans(struct reading *r, const struct tree_node *list)
{
    struct web_tls *t = &r->w->tls;
    if (tree_null(list))
        return true;
    if (list->kind != TREE_LIST)
        return wrong(r, list, "a list of names");
    t->sans = calloc(WEB_SANS, sizeof *t->sans);
    if (!t->sans)
        return no_memory(r, list);
    for (const struct tree_node *n = list->down; n; n = n->next) {
        if (t->nsans == WEB_SANS)
            return wrong(r, n, "at most 256 names");
        if (!read_text(r, n, &t->sans[t->nsans++]))
            return false;
    }
    return true;
}

/* 12 or 13; 0 after a fault. */
static int version_of(struct reading *r, const struct tree_node *n)
{
    const char *text = text_of(r, n);
    if (text && strcmp(text, "TLS12") == 0)
        return 12;
    if (text && strcmp(text, "TLS13") == 0)
        return 13;
    if (text)
        wrong(r, n, "TLS12 or TLS13; older versions are not safe and not spoken");
    return 0;
}

static bool read_min_version(struct reading *r, const struct tree_node *n)
{
    const int version = version_of(r, n);
    r->w->tls.only_tls13 = version == 13;
    return version != 0;
}

static bool read_max_version(struct reading *r, const struct tree_node *n)
{
    const int version = version_of(r, n);
    r->w->tls.only_tls12 = version == 12;
    return version != 0;
}

/* Suites by the names that IANA and Go give them. */
static const struct suite {
    const char *name, *openssl;
    bool tls13;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", true},
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", true},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305", false},
};

static bool read_suite(struct reading *r, const struct tree_node *n)
{
    const char *text = text_of(r, n);
    struct web_tls *t = &r->w->tls;
    if (!text)
        return false;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        if (strcmp(suites[i].name, text) != 0)
            continue;
        return add_word(suites[i].tls13 ? &t->suites : &t->ciphers, suites[i].openssl) ||
               no_memory(r, n);
    }
    fault_add(r->f, n->at, "cipher_suites",
              "\"%s\" is none of the suites that Go's crypto/tls.CipherSuites() lists", text);
    return false;
}

static bool read_group(struct reading *r, const struct tree_node *n)
{
    static const struct {
        const char *name, *openssl;
    } groups[] = {{"CurveP256", "P-256"},
                  {"CurveP384", "P-384"},
                  {"CurveP521", "P-521"},
                  {"X25519", "X25519"}};
    const char *text = text_of(r, n);
    if (!text)
        return false;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(groups[i].name, text) == 0)
            return add_word(&r->w->tls.groups, groups[i].openssl) || no_memory(r, n);
    fault_add(r->f, n->at, "curve_preferences",
              "expected CurveP256, CurveP384, CurveP521 or X25519, not \"%s\"", text);
    return false;
}

static bool read_list(struct reading *r, const struct tree_node *list,
                      bool (*read)(struct reading *, const struct tree_node *))
{
    bool good = true;
    if (tree_null(list))
        return true;
    if (list->kind != TREE_LIST)
        return wrong(r, list, "a list of names");
    for (const struct tree_node *n = list->down; n; n = n->next)
        good = read(r, n) && good;
    return good;
}

static bool read_suites(struct reading *r, const struct tree_node *n)
{
    return read_list(r, n, read_suite);
}

static bool read_groups(struct reading *r, const struct tree_node *n)
{
    return read_list(r, n, read_group);
}

static bool read_prefer(struct reading *r, const struct tree_node *n)
{
    return read_bool(r, n, &r->w->tls.prefer_server);
}

/* One of the two, and not both. */
static bool one_of(struct reading *r, const struct tree_node *map, enum web_pem_kind kind,
                   const char *text, const char *file, bool needed)
{
    const struct web_pem *p = &r->w->tls.pem[kind];
    if (*p->text && *p->file)
        fault_add(r->f, map->at, text, "%s is there as well; only one of them may be", file);
    else if (needed && !*p->text && !*p->file)
        fault_add(r->f, map->at, file, "missing; TLS needs it");
    else
        return true;
    return false;
}

static bool clients_agree(struct reading *r, const struct tree_node *map)
{
    const struct web_tls *t = &r->w->tls;
    const enum web_client_auth auth = t->client_auth;
    const bool ca = *t->pem[WEB_CLIENT_CA].text || *t->pem[WEB_CLIENT_CA].file;
    const bool verifies = auth == WEB_CLIENT_VERIFY_GIVEN || auth == WEB_CLIENT_REQUIRE_VERIFY;
    const bool requires = auth == WEB_CLIENT_ANY || auth == WEB_CLIENT_REQUIRE_VERIFY;
    if (ca && auth == WEB_CLIENT_NONE)
        fault_add(r->f, map->at, "client_ca_file",
                  "set, but no certificate is asked for: set client_auth_type, to "
                  "RequireAndVerifyClientCert most likely");
    else if (verifies && !ca)
        fault_add(r->f, map->at, "client_auth_type",
                  "nobody's certificate could be verified without client_ca_file");
    else if (t->nsans && !requires)
        fault_add(r->f, map->at, "client_allowed_sans",
                  "expected client_auth_type to be RequireAnyClientCert or "
                  "RequireAndVerifyClientCert: others let clients in that have no certificate");
    else
        return true;
    return false;
}

static bool versions_agree(struct reading *r, const struct tree_node *map)
{
    const struct web_tls *t = &r->w->tls;
    if (t->only_tls12 && t->only_tls13)
        fault_add(r->f, map->at, "max_version", "lower than min_version");
    else if (*t->suites && !*t->ciphers && !t->only_tls13)
        fault_add(r->f, map->at, "cipher_suites",
                  "names suites of TLS 1.3 alone; set min_version: TLS13 as well");
    else
        return true;
    return false;
}

static bool read_tls(struct reading *r, const struct tree_node *map)
{
    static const struct key keys[] = {
        {"cert", read_cert},
        {"key", read_key},
        {"client_ca", read_client_ca},
        {"cert_file", read_cert_file},
        {"key_file", read_key_file},
        {"client_ca_file", read_client_ca_file},
        {"client_auth_type", read_client_auth},
        {"client_allowed_sans", read_sans},
        {"min_version", read_min_version},
        {"max_version", read_max_version},
        {"cipher_suites", read_suites},
        {"prefer_server_cipher_suites", read_prefer},
        {"curve_preferences", read_groups},
    };
    if (tree_null(map))
        return true;
    r->w->tls.on = true;
    bool good = read_map(r, map, keys, sizeof keys / sizeof *keys);
    if (!good)
        return false;
    good = one_of(r, map, WEB_CERT, "cert", "cert_file", true);
    good = one_of(r, map, WEB_KEY, "key", "key_file", true) && good;
    good = one_of(r, map, WEB_CLIENT_CA, "client_ca", "client_ca_file", false) && good;
    good = clients_agree(r, map) && good;
    return versions_agree(r, map) && good;
}

/* ---- http_server_config ---- */

static bool read_http2(struct reading *r, const struct tree_node *n)
{
    bool on = false;
    if (!read_bool(r, n, &on))
        return false;
    if (on)
        fault_add(r->f, n->at, n->key, "expected false: these ports speak HTTP/1.1 only");
    return !on;
}

static bool one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return false;
    return true;
}

/* The two headers that have a few values only. */
static const char *header_expected(enum web_header h, const char *text)
{
    if (!one_line(text))
        return "one line of text";
    if (h == WEB_HEADER_FRAME && *text && strcasecmp(text, "deny") != 0 &&
        strcasecmp(text, "sameorigin") != 0)
        return "deny or sameorigin";
    if (h == WEB_HEADER_TYPE && *text && strcasecmp(text, "nosniff") != 0)
        return "nosniff";
    return NULL;
}

static bool read_header(struct reading *r, const struct tree_node *n, enum web_header h)
{
    const char *text = text_of(r, n), *expected = text ? header_expected(h, text) : NULL;
    if (expected)
        return wrong(r, n, expected);
    return text && keep(r, n, text, &r->w->headers[h]);
}

static bool read_headers(struct reading *r, const struct tree_node *map)
{
    bool good = true;
    if (tree_null(map))
        return true;
    if (map->kind != TREE_MAP)
        return wrong(r, map, "a map of header names and values");
    for (const struct tree_node *n = map->down; n; n = n->next) {
        enum web_header h = 0;
        while (h < WEB_HEADERS && strcasecmp(web_header_name(h), n->key) != 0)
            h++;
        if (h < WEB_HEADERS) {
            good = read_header(r, n, h) && good;
            continue;
        }
        fault_add(r->f, n->key_at, n->key,
                  "not a header that can be set; mcptallyd-web.yaml(5) lists them");
        good = false;
    }
    return good;
}

static bool read_http(struct reading *r, const struct tree_node *map)
{
    static const struct key keys[] = {{"http2", read_http2}, {"headers", read_headers}};
    return read_map(r, map, keys, sizeof keys / sizeof *keys);
}

/* ---- users and tokens ---- */

static bool is_bcrypt(const char *hash)
{
    static const char digits[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const size_t head = strlen("$2y$10$");
    if (strlen(hash) != BCRYPT || strspn(hash + head, digits) != BCRYPT - head)
        return false;
    if (hash[0] != '$' || hash[1] != '2' || !strchr("aby", hash[2]) || hash[3] != '$' ||
        hash[6] != '$' || strspn(hash + 4, "0123456789") != 2)
        return false;
    const int cost = (hash[4] - '0') * 10 + hash[5] - '0';
    return cost >= COST_LEAST && cost <= COST_MOST;
}

static bool read_user(struct reading *r, const struct tree_node *n)
{
    struct web_config *w = r->w;
    const char *hash = text_of(r, n);
    if (!hash)
        return false;
    /* The value is a secret, also a wrong one. */
    if (!is_bcrypt(hash))
        return wrong(r, n, "a bcrypt hash as htpasswd -nBC 10 makes it, with a cost of 4 to 16");
    if (!*n->key || strchr(n->key, ':'))
        return wrong(r, n, "a user's name, which has no colon in it");
    if (w->nusers == WEB_USERS)
        return wrong(r, n, "at most 256 users");
    struct web_user *u = &w->users[w->nusers++];
    return keep(r, n, n->key, &u->name) && keep(r, n, hash, &u->hash);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex(const char *text, uint8_t *to, size_t n)
{
    if (strlen(text) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool read_token(struct reading *r, const struct tree_node *n)
{
    struct web_config *w = r->w;
    const char *text = text_of(r, n);
    if (!text)
        return false;
    if (w->ntokens == WEB_USERS)
        return wrong(r, n, "at most 256 tokens");
    struct web_token *t = &w->tokens[w->ntokens];
    if (strncmp(text, "sha256:", 7) != 0 || !hex(text + 7, t->sha256, WEB_TOKEN))
        return wrong(r, n, "sha256: and the 64 digits that printf %s TOKEN | sha256sum prints");
    w->ntokens++;
    return keep(r, n, n->key, &t->name);
}

static bool read_entries(struct reading *r, const struct tree_node *map,
                         bool (*read)(struct reading *, const struct tree_node *), const char *what)
{
    bool good = true;
    if (tree_null(map))
        return true;
    if (map->kind != TREE_MAP)
        return wrong(r, map, what);
    for (const struct tree_node *n = map->down; n; n = n->next)
        good = read(r, n) && good;
    return good;
}

static bool read_users(struct reading *r, const struct tree_node *map)
{
    return read_entries(r, map, read_user, "a map of users and bcrypt hashes");
}

static bool read_tokens(struct reading *r, const struct tree_node *map)
{
    return read_entries(r, map, read_token, "a map of names and hashes of tokens");
}

/* ---- rate_limit ---- */

static bool read_interval(struct reading *r, const struct tree_node *n)
{
    const char *text = text_of(r, n);
    return text && (value_duration(text, &r->w->interval) ||
                    wrong(r, n, "a duration such as 500ms, 1s or 0"));
}

static bool read_burst(struct reading *r, const struct tree_node *n)
{
    const char *text = text_of(r, n);
    if (!text)
        return false;
    if (value_count(text, &r->w->burst) && r->w->burst <= 1000000)
        return true;
    return wrong(r, n, "a whole number of at most 1000000");
}

static bool read_rate(struct reading *r, const struct tree_node *map)
{
    static const struct key keys[] = {{"interval", read_interval}, {"burst", read_burst}};
    if (!read_map(r, map, keys, sizeof keys / sizeof *keys))
        return false;
    if (r->w->interval == 0 || r->w->burst > 0)
        return true;
    fault_add(r->f, map->at, "burst", "expected at least 1: with none every request is refused");
    return false;
}

/* ---- the file ---- */

static bool read_root(struct reading *r, const struct tree_node *root)
{
    static const struct key keys[] = {
        {"tls_server_config", read_tls},  {"http_server_config", read_http},
        {"basic_auth_users", read_users}, {"bearer_tokens", read_tokens},
        {"rate_limit", read_rate},
    };
    /* What is left of a file that could not be written, as on a full disk, or is yet to be,
     * would be a configuration: that everybody may ask, in plain text. */
    if (root->blank) {
        fault_add(r->f, root->at, NULL, "empty; {} would be to ask nobody who he is");
        return false;
    }
    return read_map(r, root, keys, sizeof keys / sizeof *keys);
}

/* Takes the tree. */
static bool read_tree(struct web_config *w, const char *file, struct tree_node *root,
                      struct faults *f)
{
    struct reading r = {.w = w, .file = file, .f = f};
    const bool good = root && read_root(&r, root);
    tree_free(root);
    return good;
}

bool config_web_parse(struct web_config *w, const char *file, const void *text, size_t n,
                      struct faults *f)
{
    return read_tree(w, file, tree_parse(file, text, n, f), f);
}

bool config_web_read(struct web_config *w, const char *file, struct faults *f)
{
    return read_tree(w, file, tree_read(file, f), f);
}
