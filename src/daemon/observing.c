#include "daemon/observing.h"

#include "intake/conn.h"
#include "store/read.h"

enum { LOOKS = 256 }; /* connections that one round looks at */

static struct str service_of(const struct daemon *d, const struct conn *c)
{
    struct session_view v;
    if (c->link.state != LINK_OPEN || !session_read(&d->file.store, c->link.session, &v))
        return STR("");
    return v.service;
}

void observing_tick(struct daemon *d, struct when now)
{
    const struct conn *c;
    unsigned looks = LOOKS;
    observed_begin(d->observed, (unsigned)d->config->health_observed);
    TAILQ_FOREACH(c, &d->intake.all, all)
    {
        if (looks-- == 0)
            break;
        if (c->link.state == LINK_OPEN)
            observed_see(d->observed, c->link.peer.pid, service_of(d, c));
    }
    observed_end(d->observed, now);
}
