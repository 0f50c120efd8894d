/* config_doc: the table of keys as pages to read. Floor 5.
 *
 * conf/mcptallyd.yaml and section KEYS of mcptallyd.yaml(5) are this output; a
 * test compares them. */
#ifndef MCPTALLY_DAEMON_CONFIG_DOC_H
#define MCPTALLY_DAEMON_CONFIG_DOC_H

#include <stdio.h>

/* A configuration file with every key at its default, each commented out. */
void config_doc_sample(FILE *to);

/* Section KEYS in mdoc(7), from its .Sh line on. */
void config_doc_keys(FILE *to);

#endif
