/* acting: carries out what watch/recovery decides, and says so. Floor 5. */
#ifndef MCPTALLY_DAEMON_ACTING_H
#define MCPTALLY_DAEMON_ACTING_H

#include "daemon/config.h"
#include "format/json.h"
#include "format/verdict.h"
#include "helper/helper.h"
#include "watch/recovery.h"

struct acting;

struct acting_env {
    struct pipeline *pl;
    struct helper *helper;
};

/* NULL when memory is out. Does nothing before acting_configure(). */
struct acting *acting_new(const struct acting_env *env);
void acting_free(struct acting *a);

/* `config` must outlive it, or the next call. Actions that run go on. */
void acting_configure(struct acting *a, const struct config *config, struct when now);

void acting_move(struct acting *a, const struct health_move *m); /* a health_moved */
void acting_tick(struct acting *a, uint64_t now);                /* carries out what is due */
void acting_stop(struct acting *a);

void acting_checks(const struct acting *a, struct verdict *v);
void acting_put(const struct acting *a, struct json_writer *j, struct when now);

#endif
