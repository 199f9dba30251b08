/* SPDX-License-Identifier: BSD-3-Clause */
/* Two NICs of one port each on one worker, their tables, and changes of them. */
#include "bench/churn/churn.h"

#define READY_NS 5000000000ull

static int nics_open(struct churn *c, const struct churn_opts *o, char err[CHURN_ERR_MAX])
{
	struct soft_worker_opts wo = { .core = o->cpu_worker, .poll = true };
	char why[SOFT_ERR_MAX] = "";
	struct transport *t;
	struct drv_opts d;
	unsigned int i;
	char name[16];
	int rc;

	rc = drv_create(&c->drv);
	for (i = 0; !rc && i < CHURN_NICS; i++) {
		struct soft_nic_opts no = { .name = name, .ports = 1, .port = { &c->cable[i].port } };

		snprintf(name, sizeof(name), "nic%u", i);
		c->cable[i] = (struct churn_cable){ .port = { .ops = &churn_cable_ops, .name = "churn" }, .c = c, .nic = i };
		rc = soft_nic_create(&c->nic[i], &no, why);
		if (!rc)
			rc = transport_local_open(&t, &soft_function_ops, c->nic[i]);
		if (!rc)
			rc = drv_add(c->drv, t, name);
	}
	drv_opts_init(&d);
	d.mode = P2P_MODE_WR;
	d.route = true;
	if (!rc)
		rc = drv_bring_up(c->drv, &d);
	if (!rc)
		rc = soft_worker_create(&c->worker, &wo, why);
	for (i = 0; !rc && i < CHURN_NICS; i++)
		rc = soft_worker_attach(c->worker, c->nic[i], 0);
	if (!rc)
		rc = soft_worker_start(c->worker);
	if (!rc)
		rc = drv_wait_ready(c->drv, READY_NS);
	if (rc)
		snprintf(err, CHURN_ERR_MAX, "%s", *why ? why : c->drv && *drv_error(c->drv) ? drv_error(c->drv) : strerror(-rc));
	return rc;
}

static void word_store(struct churn *c, unsigned int nic, uint32_t hop, uint32_t way)
{
	struct p2p_route_head *h = (struct p2p_route_head *)c->area[nic];

	le32_store_release(&h->changed[P2P_ROUTE_CHANGE_HOP], c->words);
	le32_store_release((le32 *)(c->area[nic] + from_le32(h->hops_at)) + P2P_HOP_FREE + hop,
			   P2P_HOP_WORD(P2P_HOP_ENTRY, 0, P2P_HOP_FREE + way));
}

static int area_open(struct churn *c, unsigned int nic)
{
	struct p2p_hop_entry e = { .kind = P2P_HOP_KIND_FORWARD, .src_mac = { 0x02, 0x50, 0x32, 0xdd } };
	struct p2p_route_shape s;
	struct lpm_window w;
	struct lpm_table *t;
	unsigned int k;
	int rc;

	lpm_shape_default(&s);
	s.contexts = drv_route_contexts(c->route);
	c->area[nic] = drv_route_area(c->route, nic, &s.bytes);
	lpm_window_memory(&w, c->area[nic], s.bytes);
	rc = lpm_make(c->lpm, &w, &s, &t);
	if (rc)
		return rc;
	c->head[nic] = lpm_table_head(t);
	for (k = 0; k < CHURN_WAYS; k++) {
		memcpy(e.dst_mac, (uint8_t[6]){ 0x02, 0x50, 0x32, 0xcc, 0, (uint8_t)k }, 6);
		e.nic = (uint8_t)c->drv->nic[k % CHURN_NICS].index;
		memcpy(c->area[nic] + from_le32(c->head[nic]->entries_at) + (P2P_HOP_FREE + k) * sizeof(e), &e, sizeof(e));
	}
	for (k = 1; k <= CHURN_HOPS; k++)
		word_store(c, nic, k, c->table.way[k]);
	return 0;
}

/* Half of the destinations have routes, a quarter of them one that covers; there is always a default. */
static int tables_open(struct churn *c)
{
	struct churn_change g = { .kind = CHURN_DEFAULT, .to = c->table.def };
	uint8_t mac[6] = { 0x02, 0x50, 0x32, 0xff, 0, 0 };
	uint32_t k;
	unsigned int i;
	int rc;

	rc = churn_world_make(c, &g);
	for (k = 0; !rc && k < CHURN_DESTS; k++) {
		g = (struct churn_change){ .kind = CHURN_ROUTE, .to = c->table.route[k], .index = k };
		rc = g.to ? churn_world_make(c, &g) : 0;
	}
	for (k = 0; !rc && k < CHURN_DESTS / CHURN_COVER; k++) {
		g = (struct churn_change){ .kind = CHURN_COVERING, .to = c->table.cover[k], .index = k };
		rc = g.to ? churn_world_make(c, &g) : 0;
	}
	for (i = 0; !rc && i < CHURN_NICS; i++) {
		mac[5] = (uint8_t)i;
		rc = drv_route_set_port_mac(c->route, c->drv->nic[i].index, 0, mac);
		if (!rc)
			rc = drv_route_use(c->route, i, true);
	}
	return rc;
}

int churn_world_open(struct churn *c, const struct churn_opts *o, char err[CHURN_ERR_MAX])
{
	uint64_t seed = 1;
	unsigned int i;
	int rc;

	for (i = 0; i < CHURN_DESTS; i++)
		c->table.route[i] = p2p_random(&seed) & 1 ? 1 + (uint8_t)(p2p_random(&seed) % CHURN_HOPS) : 0;
	for (i = 0; i < CHURN_DESTS / CHURN_COVER; i++)
		c->table.cover[i] = p2p_random(&seed) & 3 ? 0 : 1 + (uint8_t)(p2p_random(&seed) % CHURN_HOPS);
	for (i = 1; i <= CHURN_HOPS; i++)
		c->table.way[i] = (uint8_t)i;
	c->table.def = 1;
	c->judge = c->table;
	c->random = 7;
	rc = nics_open(c, o, err);
	if (rc)
		return rc;
	rc = drv_route_open(c->drv, &c->route);
	if (!rc)
		rc = lpm_create(&c->lpm);
	for (i = 0; !rc && i < CHURN_NICS; i++)
		rc = area_open(c, i);
	if (!rc)
		rc = tables_open(c);
	if (rc)
		snprintf(err, CHURN_ERR_MAX, "%s", *drv_error(c->drv) ? drv_error(c->drv) : strerror(-rc));
	return rc;
}

void churn_world_close(struct churn *c)
{
	unsigned int i;

	lpm_destroy(c->lpm);
	if (c->route)
		drv_route_close(c->route);
	if (c->drv)
		drv_down(c->drv);
	if (c->worker) {
		soft_worker_stop(c->worker);
		for (i = 0; i < CHURN_NICS; i++)
			soft_worker_detach(c->worker, c->nic[i], 0);
		soft_worker_destroy(c->worker);
	}
	if (c->drv)
		drv_destroy(c->drv);
	for (i = 0; i < CHURN_NICS; i++)
		if (c->nic[i])
			soft_nic_destroy(c->nic[i]);
}

uint64_t churn_world_drops(struct churn *c)
{
	struct soft_nic_stats st;
	uint64_t sum = 0;
	unsigned int i, k;

	for (i = 0; i < CHURN_NICS; i++) {
		soft_nic_stats(c->nic[i], &st);
		for (k = 0; k < P2P_NUM_DROPS; k++)
			sum += st.drops[k];
	}
	return sum;
}

int churn_world_make(struct churn *c, const struct churn_change *g)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10, (uint8_t)(g->index >> 8), (uint8_t)g->index } };
	unsigned int i;

	if (g->kind == CHURN_HOP) {
		c->words++;
		for (i = 0; i < CHURN_NICS; i++)
			word_store(c, i, g->index, g->to);
		return 0;
	}
	if (g->kind == CHURN_COVERING)
		p = (struct lpm_prefix){ .family = P2P_IP4, .len = 20, .addr = { 10, (uint8_t)(g->index * CHURN_COVER >> 8),
										 (uint8_t)(g->index * CHURN_COVER) } };
	else if (g->kind == CHURN_DEFAULT)
		p = (struct lpm_prefix){ .family = P2P_IP4 };
	return g->to ? lpm_set(c->lpm, &p, P2P_HOP_FREE + g->to) : lpm_del(c->lpm, &p);
}
