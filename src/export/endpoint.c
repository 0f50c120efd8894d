#include "export/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/str.h"

static int bad(char *why, size_t size, const char *what)
{
    snprintf(why, size, "endpoint: %s", what);
    return -ERR_SYNTAX;
}

/* What a URL may hold; a blank, a control character or a byte above 127 must be escaped. */
static bool printable(const char *url)
{
    for (; *url; url++)
        if (*url <= ' ' || *url > '~' || *url == '\\' || *url == '"' || *url == '<' || *url == '>')
            return false;
    return true;
}

/* Cuts "scheme://" off. False for one that is not known. */
static bool take_scheme(const char **url, bool *tls)
{
    const char *colon = strstr(*url, "://");
    if (!colon || colon > *url + strcspn(*url, "/?#")) /* that one is in the path */
        return true;
    const size_t n = (size_t)(colon - *url);
    *tls = n == 5;
    if (!(n == 4 && strncasecmp(*url, "http", 4) == 0) &&
        !(n == 5 && strncasecmp(*url, "https", 5) == 0))
        return false;
    *url = colon + 3;
    return true;
}

static bool take_port(struct str text, uint16_t *port)
{
    unsigned v = 0;
    if (text.n == 0 || text.n > 5)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    *port = (uint16_t)v;
    return v > 0 && v <= UINT16_MAX;
}

static bool name_fits(const char *host)
{
    for (const char *c = host; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '-' || *c == '.' || *c == '_'))
            return false;
    return host[0] && host[0] != '.' && host[0] != '-';
}

static bool take_host(struct endpoint *e, struct str host, bool brackets)
{
    unsigned char address[16];
    if (host.n == 0 || host.n > ENDPOINT_HOST)
        return false;
    memcpy(e->host, host.p, host.n);
    e->host[host.n] = '\0';
    if (brackets) {
        e->literal = true;
        return inet_pton(AF_INET6, e->host, address) == 1;
    }
    e->literal = inet_pton(AF_INET, e->host, address) == 1;
    return name_fits(e->host);
}

/* "host", "host:port", "[address]" or "[address]:port". */
static const char *take_authority(struct endpoint *e, struct str a)
{
    const bool brackets = a.n && a.p[0] == '[';
    const char *end = brackets ? memchr(a.p, ']', a.n) : memchr(a.p, ':', a.n);
    if (brackets && !end)
        return "a bracket that is not closed";
    const size_t n = end ? (size_t)(end - a.p) : a.n;
    if (!take_host(e, brackets ? (struct str){a.p + 1, n - 1} : (struct str){a.p, n}, brackets))
        return "expected a host name or address";
    struct str rest = {a.p + n + brackets, a.n - n - brackets};
    if (rest.n == 0)
        return NULL;
    if (rest.p[0] != ':' || !take_port((struct str){rest.p + 1, rest.n - 1}, &e->port))
        return "expected a port from 1 to 65535";
    return NULL;
}

static bool write_path(struct endpoint *e, const char *path)
{
    const size_t n = strlen(path), slash = path[0] != '/';
    if (slash + n > ENDPOINT_PATH)
        return false;
    e->path[0] = '/';
    memcpy(e->path + slash, path, n + 1);
    return true;
}

static void write_authority(struct endpoint *e)
{
    const bool brackets = strchr(e->host, ':');
    snprintf(e->authority, sizeof e->authority, "%s%s%s:%u", brackets ? "[" : "", e->host,
             brackets ? "]" : "", (unsigned)e->port);
}

int endpoint_read(struct endpoint *e, const char *url, bool tls, uint16_t port, char *why,
                  size_t why_size)
{
    *e = (struct endpoint){.tls = tls};
    if (!printable(url))
        return bad(why, why_size, "a character that a URL may not have");
    if (!take_scheme(&url, &e->tls))
        return bad(why, why_size, "expected http:// or https://");
    e->port = port ? port : e->tls ? 443 : 80;
    const struct str authority = {url, strcspn(url, "/?#")};
    const char *path = url + authority.n;
    if (memchr(authority.p, '@', authority.n))
        return bad(why, why_size, "a user and password do not belong here; send a header");
    if (strchr(path, '#'))
        return bad(why, why_size, "a fragment (#) is not sent to a server");
    const char *wrong = take_authority(e, authority);
    if (wrong)
        return bad(why, why_size, wrong);
    if (!write_path(e, path))
        return bad(why, why_size, "the path is too long");
    write_authority(e);
    return 0;
}

bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
    return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
