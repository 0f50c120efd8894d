/* name: what to call a server whose command line is all that is known. Floor 2. */
#ifndef MCPTALLY_MCP_NAME_H
#define MCPTALLY_MCP_NAME_H

#include <stddef.h>

/* Writes a name of [A-Za-z0-9_.-]: of the package, module, image, script or
 * program that the command runs ("npx -y @a/server-x@1" and "node
 * /srv/server-x/dist/index.js" are both "server-x"). A script whose own name
 * says nothing is called after its folder, at last after cwd (may be NULL).
 * "server" when there is nothing to go by. size is at least 8. */
void mcp_service_name(char *to, size_t size, char *const *command, const char *cwd);

#endif
