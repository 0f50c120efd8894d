#include "format/sampling_doc.h"

void sampling_doc(struct json_writer *j, const char *key, const struct sampling *s)
{
    struct sampling_state state;
    json_put_object(j, key);
    json_put_bool(j, "enabled", sampling_enabled(s));
    json_put_u64(j, "flood", sampling_level(s));
    json_put_u64(j, "traces", sampling_traces(s));
    json_put_object(j, "tiers");
    for (unsigned t = TIER_MAX; t-- > 0;) {
        sampling_state(s, (enum sample_tier)t, &state);
        json_put_object(j, sample_tier_name(t));
        json_put_f64(j, "configured", state.configured);
        if (state.set < 0)
            json_put_null(j, "set");
        else
            json_put_f64(j, "set", state.set);
        json_put_f64(j, "now", state.now);
        json_end_object(j);
    }
    json_end_object(j);
    json_end_object(j);
}
