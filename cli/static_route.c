/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/driver_opts.h"
#include "cli/static_route.h"
#include "driver/route.h"
#include "lpm/list.h"
#include "ports/port.h"

#define HOPS_DEFAULT 4096u /* of lpm_shape_default() */
#define HOPS_MAX (HOPS_DEFAULT - P2P_HOP_FREE)
#define HOP_SLOTS (2 * HOPS_DEFAULT)

struct static_hop {
	unsigned int nic, port; /* nic: as d has it */
	uint8_t mac[6];
};

struct static_routes {
	struct drv *d;
	struct drv_route *r;
	struct lpm *lpm;
	const char *const *names;
	const char *file; /* that is read; NULL: none */
	char *err;        /* CLI_ERR_MAX */
	struct static_hop hop[HOPS_MAX]; /* each once; as an index of NICs it is P2P_HOP_FREE more */
	unsigned int hops;
	uint16_t slot[HOP_SLOTS]; /* by hash: a hop's number and 1, or 0 */
};

static int mac_parse(const char *text, uint8_t mac[6])
{
	return port_mac_parse(text, strlen(text), mac) || mac[0] & 1 ? -EINVAL : 0;
}

static int end_parse(const struct static_routes *s, const char *option, const char *text, size_t len, unsigned int *nic,
		     unsigned int *port)
{
	unsigned int ports[P2P_MAX_NICS], i;

	for (i = 0; i < s->d->n; i++)
		ports[i] = s->d->nic[i].ports;
	return cli_nic_port(option, text, len, s->names, ports, s->d->n, nic, port, s->err);
}

/* Its number among the hops, and new if it has none yet; -ENOSPC. */
static int hop_number(struct static_routes *s, const struct static_hop *h)
{
	uint32_t at = h->nic << 8 | h->port, k;

	for (k = 0; k < 6; k++)
		at = (at ^ h->mac[k]) * 0x9e3779b1u;
	for (at >>= 8;; at++) {
		uint16_t *slot = &s->slot[at % HOP_SLOTS];
		const struct static_hop *other = *slot ? &s->hop[*slot - 1] : NULL;

		if (!other && s->hops == HOPS_MAX)
			return -ENOSPC;
		if (!other) {
			s->hop[s->hops++] = *h;
			*slot = (uint16_t)s->hops;
			return *slot - 1;
		}
		if (other->nic == h->nic && other->port == h->port && !memcmp(other->mac, h->mac, 6))
			return *slot - 1;
	}
}

/* where: the option, or file and line. */
static int route_add(struct static_routes *s, const struct lpm_prefix *p, const struct static_hop *h, const char *where)
{
	char text[LPM_PREFIX_TEXT];
	int hop = hop_number(s, h), rc;

	if (hop < 0) {
		snprintf(s->err, CLI_ERR_MAX, "%s: more than %u different pairs of port and MAC address", where, HOPS_MAX);
		return hop;
	}
	rc = lpm_add(s->lpm, p, P2P_HOP_FREE + (uint32_t)hop);
	if (rc == -EEXIST)
		snprintf(s->err, CLI_ERR_MAX, "%s: %s is given twice", where, lpm_prefix_format(p, text));
	else if (rc)
		snprintf(s->err, CLI_ERR_MAX, "%s: %s", where, strerror(-rc));
	return rc;
}

static int route_parse(struct static_routes *s, const char *text)
{
	const char *eq = strchr(text, '='), *comma = eq ? strchr(eq, ',') : NULL;
	struct lpm_prefix p;
	struct static_hop h;
	char prefix[64];
	int rc;

	if (!comma || eq - text >= (ptrdiff_t)sizeof(prefix)) {
		snprintf(s->err, CLI_ERR_MAX, "--static-route %.100s: give PREFIX=NIC.PORT,MAC, as 192.0.2.0/24=nic1.0,02:00:00:00:00:01",
			 text);
		return -EINVAL;
	}
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(eq - text), text);
	rc = lpm_prefix_parse(prefix, &p);
	if (rc)
		snprintf(s->err, CLI_ERR_MAX, "--static-route: %s%s", prefix,
			 rc == -EDOM ? " has bits set behind its length" : " is no prefix; give one as 192.0.2.0/24 or 2001:db8::/32");
	if (!rc)
		rc = end_parse(s, "--static-route", eq + 1, (size_t)(comma - eq) - 1, &h.nic, &h.port);
	if (!rc && mac_parse(comma + 1, h.mac)) {
		snprintf(s->err, CLI_ERR_MAX, "--static-route: '%.40s' is no station's MAC address", comma + 1);
		rc = -EINVAL;
	}
	return rc ? rc : route_add(s, &p, &h, "--static-route");
}

/* "PREFIX NIC.PORT MAC" */
static int file_line(void *arg, const struct lpm_list_line *l)
{
	struct static_routes *s = arg;
	const char *end = l->rest + strcspn(l->rest, " \t"), *at = end + strspn(end, " \t");
	const size_t len = strcspn(at, " \t");
	char where[200], mac[32];
	struct static_hop h;
	int rc;

	snprintf(where, sizeof(where), "%.160s, line %u", s->file, l->line);
	snprintf(mac, sizeof(mac), "%.*s", (int)(len < 31 ? len : 31), at);
	if (!len || at[len + strspn(at + len, " \t")]) {
		snprintf(s->err, CLI_ERR_MAX, "%s: give PREFIX NIC.PORT MAC, as 192.0.2.0/24 nic1.0 02:00:00:00:00:01", where);
		return -EINVAL;
	}
	rc = end_parse(s, where, l->rest, (size_t)(end - l->rest), &h.nic, &h.port);
	if (!rc && mac_parse(mac, h.mac)) {
		snprintf(s->err, CLI_ERR_MAX, "%s: '%s' is no station's MAC address", where, mac);
		rc = -EINVAL;
	}
	return rc ? rc : route_add(s, &l->prefix, &h, where);
}

static int file_read(struct static_routes *s, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char why[LPM_ERR_MAX] = "";
	int rc;

	if (!f) {
		snprintf(s->err, CLI_ERR_MAX, "--static-route-file %.200s: %s", path, strerror(errno));
		return -errno;
	}
	s->file = f == stdin ? "standard input" : path;
	rc = lpm_list_read(f, LPM_LIST_PLAIN, file_line, s, why);
	if (f != stdin)
		fclose(f);
	if (rc && *why)
		snprintf(s->err, CLI_ERR_MAX, "%.160s, %s", s->file, why);
	if (!rc && !lpm_count(s->lpm, P2P_IP4) && !lpm_count(s->lpm, P2P_IP6)) {
		snprintf(s->err, CLI_ERR_MAX, "%.200s has no routes; give PREFIX NIC.PORT MAC in a line each", s->file);
		rc = -EINVAL;
	}
	return rc;
}

static int mac_set(struct static_routes *s, const char *text)
{
	const char *eq = strchr(text, '=');
	unsigned int nic, port;
	uint8_t mac[6];
	int rc;

	if (!eq || mac_parse(eq + 1, mac)) {
		snprintf(s->err, CLI_ERR_MAX, "--router-mac %.100s: give NIC.PORT=MAC, as nic0.0=02:00:00:00:00:01", text);
		return -EINVAL;
	}
	rc = end_parse(s, "--router-mac", text, (size_t)(eq - text), &nic, &port);
	if (rc)
		return rc;
	rc = drv_route_set_port_mac(s->r, s->d->nic[nic].index, port, mac);
	if (rc)
		snprintf(s->err, CLI_ERR_MAX, "%s", drv_error(s->d));
	return rc;
}

/* In one area. */
static int hop_write(struct static_routes *s, uint8_t *area, const struct p2p_route_head *h, unsigned int k)
{
	const struct static_hop *r = &s->hop[k];
	const uint32_t hop = P2P_HOP_FREE + k;
	struct p2p_hop_entry e = { .kind = P2P_HOP_KIND_FORWARD, .nic = (uint8_t)s->d->nic[r->nic].index, .port = (uint8_t)r->port };
	int rc;

	rc = drv_route_port_mac(s->r, e.nic, r->port, e.src_mac);
	if (rc) {
		snprintf(s->err, CLI_ERR_MAX, "%s", drv_error(s->d));
		return rc;
	}
	memcpy(e.dst_mac, r->mac, 6);
	memcpy(area + from_le32(h->entries_at) + hop * sizeof(e), &e, sizeof(e));
	le32_store_release((le32 *)(area + from_le32(h->hops_at)) + hop, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, hop));
	return 0;
}

/* The NIC looks at nothing of it yet, so that routes may be there before what they lead to. */
static int area_make(struct static_routes *s, unsigned int nic)
{
	struct p2p_route_shape shape;
	struct lpm_window w;
	struct lpm_table *t;
	unsigned int k;
	uint8_t *area;
	int rc;

	lpm_shape_default(&shape);
	shape.hops = HOPS_DEFAULT;
	shape.contexts = drv_route_contexts(s->r);
	area = drv_route_area(s->r, nic, &shape.bytes);
	lpm_window_memory(&w, area, shape.bytes);
	rc = lpm_make(s->lpm, &w, &shape, &t);
	if (rc == -EINVAL)
		snprintf(s->err, CLI_ERR_MAX, "no route table of %llu KiB: too little; give more with --route-mem",
			 (unsigned long long)shape.bytes >> 10);
	else if (rc == -ENOSPC)
		snprintf(s->err, CLI_ERR_MAX, "%llu routes do not fit %llu KiB of device memory; give more with --route-mem, and perhaps"
			 " --mem",
			 (unsigned long long)(lpm_count(s->lpm, P2P_IP4) + lpm_count(s->lpm, P2P_IP6)),
			 (unsigned long long)shape.bytes >> 10);
	else if (rc)
		snprintf(s->err, CLI_ERR_MAX, "no route table: %s", strerror(-rc));
	for (k = 0; !rc && k < s->hops; k++)
		rc = hop_write(s, area, lpm_table_head(t), k);
	return rc;
}

static int tables_make(struct static_routes *s)
{
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < s->d->n; k++)
		rc = area_make(s, k);
	for (k = 0; !rc && k < s->d->n; k++) {
		rc = drv_route_use(s->r, k, true);
		if (rc)
			snprintf(s->err, CLI_ERR_MAX, "%s", drv_error(s->d));
	}
	return rc;
}

int static_routes_set(struct drv *d, const char *const *names, const struct cli_list *routes, const char *file,
		      const struct cli_list *macs, char err[CLI_ERR_MAX])
{
	static struct static_routes s;
	unsigned int k;
	int rc;

	memset(&s, 0, sizeof(s));
	s.d = d;
	s.names = names;
	s.err = err;
	rc = drv_route_open(d, &s.r);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
		return rc;
	}
	rc = lpm_create(&s.lpm);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "out of memory");
	for (k = 0; !rc && k < routes->n; k++)
		rc = route_parse(&s, routes->item[k].text);
	if (!rc && file)
		rc = file_read(&s, file);
	for (k = 0; !rc && k < macs->n; k++)
		rc = mac_set(&s, macs->item[k].text);
	if (!rc)
		rc = tables_make(&s);
	lpm_destroy(s.lpm);
	drv_route_close(s.r);
	return rc;
}
