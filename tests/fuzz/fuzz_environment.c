/* What an operator writes in variables and in one value of the configuration: a collector's URL,
 * headers, resource attributes. The first byte says which. What is taken is short enough, fit for
 * a request, and no reason quotes a password. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/resource.h"
#include "export/endpoint.h"
#include "export/fields.h"

enum { WHY = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x21 || *text == 0x7f)
            return false;
    return true;
}

static void check_endpoint(const char *url)
{
    char why[WHY] = "";
    struct endpoint e, again;
    if (endpoint_read(&e, url, true, 4318, why, sizeof why) < 0) {
        assert(why[0]);
        return;
    }
    assert(e.host[0] && e.port && e.path[0] == '/');
    assert(is_printable(e.host) && is_printable(e.authority) && is_printable(e.path));
    const size_t room = strlen(e.authority) + strlen(e.path) + 9;
    char *text = malloc(room);
    assert(text);
    snprintf(text, room, "http%s://%s%s", e.tls ? "s" : "", e.authority, e.path);
    const int r = endpoint_read(&again, text, !e.tls, 1, why, sizeof why);
    assert(r == 0 && endpoint_same(&e, &again) && strcmp(e.path, again.path) == 0);
    free(text);
}

static void check_field(char *name)
{
    struct fields f = {0};
    char why[WHY] = "";
    char *value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    const int r = fields_add(&f, name, value ? value : "", why, sizeof why);
    assert((r == 0) == (f.n == 1) && (r == 0 || why[0]));
    for (const char *p = f.n ? f.all[0].value : ""; *p; p++)
        assert(*p != '\r' && *p != '\n');
    if (f.n)
        assert(is_printable(f.all[0].name) && !strpbrk(f.all[0].name, ":ABCXYZ"));
    fields_fini(&f);
}

static void check_resource(const char *text)
{
    struct resource r = {0};
    (void)resource_parse(&r, text);
    assert(strlen(r.service) <= LIMIT_SERVICE && strlen(r.instance) <= LIMIT_SERVICE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size);
    assert(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        check_endpoint(text);
    else if (data[0] % 3 == 1)
        check_field(text);
    else
        check_resource(text);
    free(text);
    return 0;
}
