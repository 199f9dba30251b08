/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many destinations: the full table, and addresses drawn from it.
 *
 * Each prefix is as likely as any other, and so is each address in it; what no router forwards (0/8, 127/8, from 224/4 on)
 * is left out.  IPv4 alone: the smallest frame has no room for IPv6 and the tester's marks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lpm/bench.h"
#include "subject.h"

#define SPREAD_DRAWS (64 * FWD_SPREAD)

static bool spread_forwarded(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a < 0xe0000000u;
}

static int spread_draw(struct fwd_env *e, const struct bench_routes *r, char err[FWD_ERR_MAX])
{
	uint64_t seed = 0x5eed;
	unsigned int k;

	e->dst = malloc(FWD_SPREAD * sizeof(*e->dst));
	if (!e->dst) {
		snprintf(err, FWD_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	for (k = 0; r->n && k < SPREAD_DRAWS && e->num_dst < FWD_SPREAD; k++) {
		const struct lpm_prefix *p = &r->p[p2p_random(&seed) % r->n];
		const uint32_t net = (uint32_t)p->addr[0] << 24 | (uint32_t)p->addr[1] << 16 | (uint32_t)p->addr[2] << 8 | p->addr[3];
		const uint32_t a = net | ((uint32_t)(p2p_random(&seed) >> 32) & (uint32_t)(0xffffffffull >> p->len));

		if (spread_forwarded(a))
			e->dst[e->num_dst++] = a;
	}
	if (e->num_dst == FWD_SPREAD)
		return 0;
	snprintf(err, FWD_ERR_MAX, "the table has no IPv4 prefixes that a router forwards to");
	return -EINVAL;
}

/* As `run --static-route-file` reads it: all by the second NIC, to one of BENCH_HOPS stations. */
static int spread_write(struct fwd_env *e, const struct bench_routes r[P2P_NUM_FAMILIES], char err[FWD_ERR_MAX])
{
	char text[LPM_PREFIX_TEXT];
	unsigned int f;
	size_t k;
	FILE *file;
	int bad;

	snprintf(e->routes, sizeof(e->routes), "%s/routes", e->dir);
	file = fopen(e->routes, "we");
	for (f = 0; file && f < P2P_NUM_FAMILIES; f++) {
		e->num_routes[f] = r[f].n;
		for (k = 0; k < r[f].n; k++)
			fprintf(file, "%s nic1.0 02:50:32:01:00:%02x\n", lpm_prefix_format(&r[f].p[k], text),
				(r[f].hop[k] - P2P_HOP_FREE) % BENCH_HOPS);
	}
	bad = !file || ferror(file);
	if (file && fclose(file))
		bad = 1;
	if (!bad)
		return 0;
	snprintf(err, FWD_ERR_MAX, "%.300s can't be written: %s", e->routes, strerror(errno));
	return -EIO;
}

int fwd_spread_make(struct fwd_env *e, char err[FWD_ERR_MAX])
{
	struct bench_routes r[P2P_NUM_FAMILIES] = { 0 };
	char why[LPM_ERR_MAX] = "";
	unsigned int f;
	int rc;

	rc = bench_routes_load(r, e->req->routes, e->table, why);
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s", *why ? why : strerror(-rc));
	if (!rc)
		rc = spread_draw(e, &r[P2P_IP4], err);
	if (!rc)
		rc = spread_write(e, r, err);
	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		bench_routes_free(&r[f]);
	if (rc)
		fwd_spread_free(e);
	return rc;
}

void fwd_spread_free(struct fwd_env *e)
{
	free(e->dst);
	e->dst = NULL;
	e->num_dst = 0;
}
