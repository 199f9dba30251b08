/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/driver_opts.h"
#include "cli/static_route.h"
#include "driver/route.h"
#include "lpm/lpm.h"

struct static_route {
	struct lpm_prefix prefix;
	unsigned int nic, port; /* nic: as d has it */
	uint8_t mac[6];
};

struct static_routes {
	struct drv *d;
	struct drv_route *r;
	struct lpm *lpm;
	struct static_route route[CLI_LIST_MAX];
	unsigned int n;
};

static int mac_parse(const char *text, uint8_t mac[6])
{
	unsigned int b[6], i;
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || text[end] || b[0] & 1)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

static int end_parse(const struct static_routes *s, const char *const *names, const char *option, const char *text, size_t len,
		     unsigned int *nic, unsigned int *port, char err[CLI_ERR_MAX])
{
	unsigned int ports[P2P_MAX_NICS], i;

	for (i = 0; i < s->d->n; i++)
		ports[i] = s->d->nic[i].ports;
	return cli_nic_port(option, text, len, names, ports, s->d->n, nic, port, err);
}

static int route_parse(struct static_routes *s, const char *const *names, const char *text, char err[CLI_ERR_MAX])
{
	const char *eq = strchr(text, '='), *comma = eq ? strchr(eq, ',') : NULL;
	struct static_route *r = &s->route[s->n++];
	char prefix[64];
	int rc;

	if (!comma || eq - text >= (ptrdiff_t)sizeof(prefix)) {
		snprintf(err, CLI_ERR_MAX, "--static-route %.100s: give PREFIX=NIC.PORT,MAC, as 192.0.2.0/24=nic1.0,02:00:00:00:00:01",
			 text);
		return -EINVAL;
	}
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(eq - text), text);
	rc = lpm_prefix_parse(prefix, &r->prefix);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "--static-route: %s%s", prefix,
			 rc == -EDOM ? " has bits set behind its length" : " is no prefix; give one as 192.0.2.0/24 or 2001:db8::/32");
	if (!rc)
		rc = end_parse(s, names, "--static-route", eq + 1, (size_t)(comma - eq) - 1, &r->nic, &r->port, err);
	if (!rc && mac_parse(comma + 1, r->mac)) {
		snprintf(err, CLI_ERR_MAX, "--static-route: '%.40s' is no station's MAC address", comma + 1);
		rc = -EINVAL;
	}
	return rc;
}

static int mac_set(struct static_routes *s, const char *const *names, const char *text, char err[CLI_ERR_MAX])
{
	const char *eq = strchr(text, '=');
	unsigned int nic, port;
	uint8_t mac[6];
	int rc;

	if (!eq || mac_parse(eq + 1, mac)) {
		snprintf(err, CLI_ERR_MAX, "--router-mac %.100s: give NIC.PORT=MAC, as nic0.0=02:00:00:00:00:01", text);
		return -EINVAL;
	}
	rc = end_parse(s, names, "--router-mac", text, (size_t)(eq - text), &nic, &port, err);
	if (rc)
		return rc;
	rc = drv_route_set_port_mac(s->r, s->d->nic[nic].index, port, mac);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(s->d));
	return rc;
}

/* The hop of route k, in one area. */
static int hop_write(struct static_routes *s, uint8_t *area, const struct p2p_route_head *h, unsigned int k, char err[CLI_ERR_MAX])
{
	const struct static_route *r = &s->route[k];
	const uint32_t hop = P2P_HOP_FREE + k;
	struct p2p_hop_entry e = { .kind = P2P_HOP_KIND_FORWARD, .nic = (uint8_t)s->d->nic[r->nic].index, .port = (uint8_t)r->port };
	int rc;

	rc = drv_route_port_mac(s->r, e.nic, r->port, e.src_mac);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(s->d));
		return rc;
	}
	memcpy(e.dst_mac, r->mac, 6);
	memcpy(area + from_le32(h->entries_at) + hop * sizeof(e), &e, sizeof(e));
	le32_store_release((le32 *)(area + from_le32(h->hops_at)) + hop, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, hop));
	return 0;
}

static int area_make(struct static_routes *s, unsigned int nic, char err[CLI_ERR_MAX])
{
	struct p2p_route_shape shape;
	struct lpm_window w;
	struct lpm_table *t;
	unsigned int k;
	uint8_t *area;
	int rc;

	lpm_shape_default(&shape);
	shape.contexts = drv_route_contexts(s->r);
	area = drv_route_area(s->r, nic, &shape.bytes);
	lpm_window_memory(&w, area, shape.bytes);
	rc = lpm_make(s->lpm, &w, &shape, &t);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "no route table of %llu KiB: %s; give more with --route-mem",
			 (unsigned long long)shape.bytes >> 10, rc == -EINVAL || rc == -ENOSPC ? "too little" : strerror(-rc));
		return rc;
	}
	for (k = 0; !rc && k < s->n; k++)
		rc = hop_write(s, area, lpm_table_head(t), k, err);
	return rc;
}

static int tables_make(struct static_routes *s, char err[CLI_ERR_MAX])
{
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < s->d->n; k++)
		rc = area_make(s, k, err);
	for (k = 0; !rc && k < s->n; k++) {
		rc = lpm_add(s->lpm, &s->route[k].prefix, P2P_HOP_FREE + k);
		if (rc)
			snprintf(err, CLI_ERR_MAX, "--static-route: route %u of %u: %s", k + 1, s->n,
				 rc == -EEXIST ? "its prefix is given twice" : strerror(-rc));
	}
	for (k = 0; !rc && k < s->d->n; k++) {
		rc = drv_route_use(s->r, k, true);
		if (rc)
			snprintf(err, CLI_ERR_MAX, "%s", drv_error(s->d));
	}
	return rc;
}

int static_routes_set(struct drv *d, const char *const *names, const struct cli_list *routes, const struct cli_list *macs,
		      char err[CLI_ERR_MAX])
{
	static struct static_routes s;
	unsigned int k;
	int rc;

	memset(&s, 0, sizeof(s));
	s.d = d;
	rc = drv_route_open(d, &s.r);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
		return rc;
	}
	rc = lpm_create(&s.lpm);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "out of memory");
	for (k = 0; !rc && k < routes->n; k++)
		rc = route_parse(&s, names, routes->item[k].text, err);
	for (k = 0; !rc && k < macs->n; k++)
		rc = mac_set(&s, names, macs->item[k].text, err);
	if (!rc)
		rc = tables_make(&s, err);
	lpm_destroy(s.lpm);
	drv_route_close(s.r);
	return rc;
}
