#include "serve/target.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "store/series.h"
#include "wire/decode.h"

enum { TEXT_MAX = 1024 };

static void declare(struct own *o, enum own_metric m, struct label *labels, unsigned n,
                    struct when now)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    labels_canonical(&text, labels, n);
    if (!text.failed)
        own_info(o, m, buf_str(&text), now);
    buf_fini(&text);
}

void target_declare(struct own *o, const char *version, struct when now)
{
    char protocol[16], store[16];
    struct utsname host;
    snprintf(protocol, sizeof protocol, "%d", PROTO_VERSION);
    snprintf(store, sizeof store, "%d", STORE_VERSION);
    struct label build[] = {
        {STR("version"), str_of(version)},
        {STR("protocol_version"), str_of(protocol)},
        {STR("store_version"), str_of(store)},
    };
    declare(o, OWN_BUILD_INFO, build, sizeof build / sizeof *build, now);
    if (uname(&host) < 0)
        return;
    struct label target[] = {
        {STR("service_name"), STR("mcptallyd")},
        {STR("service_version"), str_of(version)},
        {STR("host_name"), str_of(host.nodename)},
        {STR("os_type"), STR("linux")},
    };
    declare(o, OWN_TARGET_INFO, target, sizeof target / sizeof *target, now);
}
