/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/routing.h"

int routing_built(char err[CLI_ERR_MAX])
{
#ifdef FW_NO_ROUTING
	snprintf(err, CLI_ERR_MAX, "routing was left out of this build; build p2pnic with `meson setup -Drouting=true`");
	return -EOPNOTSUPP;
#else
	return 0;
#endif
}

static void routing_note(const char *line)
{
	cli_note("router", "%s", line);
}

/* "NIC.PORT=IFNAME" */
static int routing_tap(struct router_opts *o, const struct drv *d, const char *text, char err[CLI_ERR_MAX])
{
	const char *eq = strchr(text, '='), *dot = eq ? memrchr(text, '.', (size_t)(eq - text)) : NULL;
	unsigned int i, port;
	char *end;

	port = dot ? (unsigned int)strtoul(dot + 1, &end, 10) : 0;
	if (!dot || end != eq || dot + 1 == eq || !eq[1] || strlen(eq + 1) >= TAP_NAME_MAX || strpbrk(eq + 1, "/ :%")) {
		snprintf(err, CLI_ERR_MAX, "--tap %.100s: give NIC.PORT=IFNAME, a name of %d characters at most", text,
			 TAP_NAME_MAX - 1);
		return -EINVAL;
	}
	for (i = 0; i < d->n; i++)
		if (strlen(o->nic_name[i]) == (size_t)(dot - text) && !strncmp(o->nic_name[i], text, (size_t)(dot - text)))
			break;
	if (i == d->n || port >= d->nic[i].ports) {
		snprintf(err, CLI_ERR_MAX, "--tap %.100s: there is no port %.*s", text, (int)(eq - text < 100 ? eq - text : 100), text);
		return -EINVAL;
	}
	snprintf(o->tap_name[i][port], TAP_NAME_MAX, "%s", eq + 1);
	return 0;
}

int routing_listen(struct sock_listener *l, const char *socket, const struct sock_trust *trust, char err[CLI_ERR_MAX])
{
	char path[PATH_MAX], why[ROUTER_ERR_MAX];
	int rc;

	l->fd = -1;
	rc = cli_socket_path(path, sizeof(path), socket ? socket : ROUTING_SOCKET, trust, err);
	if (rc)
		return rc;
	rc = router_listen(l, path, trust, why);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", why);
	return rc;
}

int routing_start(struct router **out, struct drv *d, const char *const *names, const struct cli_list *taps,
		  struct sock_listener *questions, bool keep, char err[CLI_ERR_MAX])
{
	static struct router_opts o;
	char why[ROUTER_ERR_MAX];
	unsigned int i;
	int rc = 0;

	memset(&o, 0, sizeof(o));
	for (i = 0; i < d->n; i++)
		o.nic_name[i] = names[i];
	for (i = 0; !rc && i < taps->n; i++)
		rc = routing_tap(&o, d, taps->item[i].text, err);
	if (rc)
		return rc;
	o.listener = questions;
	o.keep = keep;
	o.note = routing_note;
	rc = router_create(out, d, &o, why);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", why);
	return rc;
}

void routing_stop(struct router *r)
{
	router_destroy(r);
}
