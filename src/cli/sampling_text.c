#include "cli/sampling_text.h"

#include "cli/plain.h"

enum { TIER = 11 };

static void add_percent(struct buf *to, const json_t *tier, const char *key)
{
    buf_addf(to, "%.6g%%", json_number_value(json_object_get(tier, key)) * 100);
}

static bool is_set(const json_t *tier)
{
    return json_is_number(json_object_get(tier, "set"));
}

static bool has_fallen(const json_t *tier)
{
    const char *from = is_set(tier) ? "set" : "configured";
    return json_number_value(json_object_get(tier, "now")) <
           json_number_value(json_object_get(tier, from));
}

void sampling_text(struct buf *to, const json_t *sampling)
{
    const char *name;
    json_t *tier, *tiers = json_object_get(sampling, "tiers");
    if (!json_is_true(json_object_get(sampling, "enabled")))
        buf_adds(to, "sampling is off: every trace is kept\n");
    json_object_foreach(tiers, name, tier)
    {
        plain_add_fixed(to, str_of(name), TIER);
        add_percent(to, tier, "now");
        buf_adds(to, is_set(tier) ? ", set to " : ", configured as ");
        add_percent(to, tier, is_set(tier) ? "set" : "configured");
        if (is_set(tier)) {
            buf_adds(to, "; configured as ");
            add_percent(to, tier, "configured");
        }
        if (has_fallen(tier))
            buf_adds(to, "; fallen because of a flood");
        buf_addc(to, '\n');
    }
    plain_add_fixed(to, STR("traces"), TIER);
    buf_addf(to, "%lld remembered\n",
             (long long)json_integer_value(json_object_get(sampling, "traces")));
}

void sampling_line(struct buf *to, const json_t *sampling)
{
    const char *name, *before = "";
    json_t *tier, *tiers = json_object_get(sampling, "tiers");
    if (!json_is_true(json_object_get(sampling, "enabled"))) {
        buf_adds(to, "off");
        return;
    }
    json_object_foreach(tiers, name, tier)
    {
        buf_adds(to, before);
        plain_add(to, str_of(name));
        buf_addc(to, ' ');
        add_percent(to, tier, "now");
        if (is_set(tier))
            buf_adds(to, " (set)");
        if (has_fallen(tier))
            buf_adds(to, " (flood)");
        before = ", ";
    }
}
