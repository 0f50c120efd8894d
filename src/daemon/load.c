#include "daemon/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/places.h"

static bool override_path(struct config *c, const char *key, const char *path, struct faults *f)
{
    char assignment[4096 + 32];
    if (!path)
        return true;
    snprintf(assignment, sizeof assignment, "%s=%s", key, path);
    return config_override(c, assignment, f);
}

static const char *lookup(const char *name)
{
    return getenv(name);
}

bool load_config(struct load *l, struct config *c, struct faults *f)
{
    bool good = config_init(c, f);
    if (!good) {
        config_fini(c);
        return false;
    }
    l->used = l->file ? l->file : access(places_config, F_OK) == 0 ? places_config : NULL;
    if (l->used)
        good = config_read(c, l->used, f);
    for (unsigned i = 0; i < l->noverrides; i++)
        good &= config_override(c, l->overrides[i], f);
    good &= override_path(c, "runtime_dir", l->runtime_dir, f);
    good &= override_path(c, "state_dir", l->state_dir, f);
    good &= config_environment(c, lookup, f);
    good = good && config_finish(c, f);
    if (!good)
        config_fini(c);
    return good;
}
