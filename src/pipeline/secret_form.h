/* secret_form: secrets that stand in a form of their own. Floor 3. No I/O.
 *
 * Each function looks at place i of a view and is true when a secret follows,
 * whose place is then in *out. */
#ifndef MCPTALLY_PIPELINE_SECRET_FORM_H
#define MCPTALLY_PIPELINE_SECRET_FORM_H

#include "pipeline/secret_extent.h"

/* scheme://user:password@host, at the ':' of "://"; a lone user that looks
 * random is a secret as well. */
bool secret_in_url(const struct text_view *v, size_t i, struct secret_place *out);

/* user:password@tcp(host), as some database drivers write it; at the first ':'. */
bool secret_in_dsn(const struct text_view *v, size_t i, struct secret_place *out);

/* A PEM block with a private key in it, to its end line or the end of the text;
 * at its first '-'. */
bool secret_in_pem(const struct text_view *v, size_t i, struct secret_place *out);

#endif
