/* options: the configuration as the option structs of the rooms below. Floor 5.
 * The one place that knows which key goes where. */
#ifndef MCPTALLY_DAEMON_OPTIONS_H
#define MCPTALLY_DAEMON_OPTIONS_H

#include "daemon/config.h"
#include "export/transport.h"
#include "forward/lane.h"
#include "intake/intake.h"
#include "intake/otlp_intake.h"
#include "pipeline/pipeline.h"
#include "pipeline/redact.h"
#include "pipeline/sampling.h"
#include "watch/health.h"

/* What each failure domain may do. */
void options_domain(const struct config *c, struct domain_options *o);

/* `c` has to outlive the pipeline: it is asked for domains. */
void options_pipeline(struct config *c, struct pipeline_options *o);

/* `descriptors`: how many connections may be open at most, whatever is configured. */
void options_intake(const struct config *c, unsigned descriptors, struct intake_options *o);

void options_otlp(const struct config *c, struct otlp_intake_options *o);

/* `required` is what o->required borrows: the caller frees it when the watch has
 * other options; its texts stay c's. False when memory is out. */
bool options_health(const struct config *c, struct str **required, struct health_options *o);

/* Its rules stay c's. */
void options_sampling(const struct config *c, struct sampling_options *o);

/* ---- destinations ---- */

void options_lane(const struct config *c, const struct config_destination *d,
                  struct lane_options *o);
void options_spool(const struct config *c, const struct config_destination *d,
                   struct spool_options *o);

/* Borrows from d, but for the headers' array, which _fini frees. False: no memory. */
bool options_transport(const struct config_destination *d, struct transport_options *o);
void options_transport_fini(struct transport_options *o);

/* The same number for what makes the same transport. */
uint64_t options_identity(const struct config_destination *d);

/* NULL when memory is out. */
struct redact *options_redact(const struct config *c);
struct rules *options_rules(const struct config *c);

#endif
