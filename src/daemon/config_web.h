/* config_web: the web configuration file. Floor 5.
 *
 * Keys, types and meanings are those of Prometheus' exporter-toolkit, so that a file that
 * operators have works; what cannot be kept of it is a fault, never passed over.
 * bearer_tokens is our own. Paths in it begin in its directory. */
#ifndef MCPTALLY_DAEMON_CONFIG_WEB_H
#define MCPTALLY_DAEMON_CONFIG_WEB_H

#include "daemon/faults.h"
#include "gate/web_config.h"

/* Fills *w, which web_config_init() has made, from n bytes. False after faults; w is then
 * good for web_config_fini() only. Certificates are not looked at. */
bool config_web_parse(struct web_config *w, const char *file, const void *text, size_t n,
                      struct faults *f);

/* The same from a file. */
bool config_web_read(struct web_config *w, const char *file, struct faults *f);

#endif
