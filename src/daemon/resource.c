#include "daemon/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "model/text.h"

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decodes [p, p+n): false when it is not UTF-8 then, too long, or no such code. */
static bool decode(char *to, size_t size, const char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '%') {
            if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
                return false;
            c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        }
        if (out + 1 >= size || (unsigned char)c < ' ')
            return false;
        to[out++] = c;
    }
    to[out] = '\0';
    return text_utf8((struct str){to, out});
}

static bool take(struct resource *r, const char *p, size_t n)
{
    char key[256], value[1024];
    const char *eq = memchr(p, '=', n);
    if (!eq || eq == p || !decode(key, sizeof key, p, (size_t)(eq - p)) ||
        !decode(value, sizeof value, eq + 1, n - (size_t)(eq - p) - 1))
        return false;
    char *to = strcmp(key, "service.name") == 0          ? r->service
               : strcmp(key, "service.instance.id") == 0 ? r->instance
                                                         : NULL;
    if (to && strlen(value) > LIMIT_SERVICE)
        return false;
    if (to)
        memcpy(to, value, strlen(value) + 1);
    return true;
}

bool resource_parse(struct resource *r, const char *text)
{
    struct resource read = *r;
    while (*text) {
        const size_t n = strcspn(text, ",");
        if (!take(&read, text, n))
            return false;
        text += n + (text[n] == ',');
    }
    *r = read;
    return true;
}

void resource_read(struct resource *r)
{
    const char *attributes = getenv("OTEL_RESOURCE_ATTRIBUTES"),
               *name = getenv("OTEL_SERVICE_NAME");
    *r = (struct resource){.service = "mcptallyd"};
    if (gethostname(r->instance, sizeof r->instance - 1) < 0)
        r->instance[0] = '\0';
    if (attributes && !resource_parse(r, attributes))
        log_warn("export", "OTEL_RESOURCE_ATTRIBUTES cannot be read; nothing of it is used");
    if (name && *name && strlen(name) <= LIMIT_SERVICE && text_utf8(str_of(name)))
        memcpy(r->service, name, strlen(name) + 1);
}
