#include "daemon/info.h"

#include <unistd.h>

#include "base/buf.h"
#include "model/limits.h"
#include "model/text.h"
#include "store/series.h"
#include "wire/decode.h"

enum { HOST_MAX = 64 + 1 };

static void declare(struct own *o, enum own_metric m, struct label *labels, unsigned n,
                    struct when now)
{
    struct buf text;
    buf_init(&text, LIMIT_LABEL_BYTES);
    labels_canonical(&text, labels, n);
    if (!text.failed)
        own_info(o, m, buf_str(&text), now);
    buf_fini(&text);
}

void info_declare(struct own *o, struct when now)
{
    char host[HOST_MAX] = "";
    (void)gethostname(host, sizeof host - 1);
    const struct str name = str_of(host);
    struct label build[] = {{STR("version"), STR(MCPTALLY_BUILD_VERSION)}};
    struct label target[] = {
        {STR("service.name"), STR("mcptallyd")},
        {STR("service.version"), STR(MCPTALLY_BUILD_VERSION)},
        {STR("host.name"), text_utf8(name) ? name : STR("")},
        {STR("os.type"), STR("linux")},
    };
    declare(o, OWN_BUILD_INFO, build, sizeof build / sizeof *build, now);
    declare(o, OWN_TARGET_INFO, target, sizeof target / sizeof *target, now);
}
