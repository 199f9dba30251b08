/* SPDX-License-Identifier: BSD-3-Clause */
#include <p2pnic/csum.h>
#include <string.h>

#include "honest.h"

#define A HONEST_A
#define C HONEST_C
#define MARK 0xa5

static uint32_t honest_word(uint32_t way, uint32_t number, uint32_t k)
{
	return p2p_mix(p2p_mix(number * 2 + way) ^ (k * 0x9e3779b9u + 0x5eed));
}

static void honest_make(uint8_t *f, uint32_t len, uint32_t way, uint32_t number)
{
	uint32_t k, v;

	memset(f, 0, len);
	memcpy(f, (uint8_t[6]){ 2, 0, 0, 0, 9, (uint8_t)way }, 6);
	memcpy(f + 6, (uint8_t[6]){ 2, 0, 0, 0, 8, (uint8_t)way }, 6);
	f[12] = 0x88;
	f[13] = 0xb5;
	memset(f + 14, MARK, 4);
	memcpy(f + 18, &number, 4);
	for (k = 22; k + 4 <= len; k += 4) {
		v = honest_word(way, number, k);
		memcpy(f + k, &v, 4);
	}
}

static void frame_out(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	static uint8_t want[P2P_MAX_FRAME];
	struct honest *h = arg;
	unsigned int way = nic == A;
	uint32_t number;

	if (port || nic == HONEST_B || len < 64 || len > sizeof(want))
		return;
	memcpy(&number, data + 18, 4);
	honest_make(want, len, way, number);
	if (memcmp(data, want, len))
		return;
	if (number != h->arrived[way])
		mesh_fail(h->m, "honest frame %u left %c.0, %u was expected", number, 'a' + nic, h->arrived[way]);
	h->arrived[way]++;
}

static void ports_called(void *arg)
{
	struct honest *h = arg;
	unsigned int k = 0;

	while (k < h->laters) {
		if (h->later[k].calls--) {
			k++;
			continue;
		}
		honest_put(h->later[k].at, h->later[k].value);
		h->later[k] = h->later[--h->laters];
	}
}

void honest_watch(struct honest *h, struct mesh *m)
{
	memset(h, 0, sizeof(*h));
	h->m = m;
	m->out = frame_out;
	m->out_arg = h;
}

void honest_up(struct honest *h)
{
	unsigned int i, p;

	for (i = 0; i < HONEST_NICS; i++)
		for (p = 0; p < HONEST_PORTS; p++)
			h->posted[i][p] = script_port_posted(h->m->port[i][p].sp);
	for (p = 0; p < HONEST_PORTS; p++)
		script_port_each(h->m->port[A][p].sp, ports_called, h);
}

void *honest_segment(const struct honest *h, unsigned int nic, unsigned int seg)
{
	return h->m->ops->mem(h->m->mb, nic, p2p_seg_offset(&h->m->shape, seg));
}

void honest_put(le32 *at, uint32_t v)
{
	le32_store_release(at, v);
}

void honest_put_later(struct honest *h, uint32_t calls, le32 *at, uint32_t v)
{
	if (h->laters < HONEST_LATER_MAX)
		h->later[h->laters++] = (struct honest_later){ .calls = calls, .at = at, .value = v };
}

void honest_send(struct honest *h, unsigned int n, uint32_t len)
{
	static uint8_t f[P2P_MAX_FRAME];
	unsigned int k, way;

	for (k = 0; k < n; k++) {
		way = k & 1;
		if (h->sent[way] - h->arrived[way] >= HONEST_MAX / (1 + len / 2048))
			continue;
		honest_make(f, len, way, h->sent[way]++);
		mesh_send_raw(h->m, way ? C : A, 0, f, len);
	}
}

bool honest_quiet(const struct honest *h)
{
	unsigned int p;

	for (p = 0; p < HONEST_PORTS && !h->m->ops->cut; p++)
		if (script_port_posted(h->m->port[A][p].sp) != h->posted[A][p] ||
		    script_port_posted(h->m->port[C][p].sp) != h->posted[C][p])
			return false;
	return h->sent[0] == h->arrived[0] && h->sent[1] == h->arrived[1];
}

void honest_finish(struct honest *h, void (*gone)(struct mesh *m))
{
	struct mesh *m = h->m;
	unsigned int way, k;
	uint8_t f[64];

	script_port_link(m->port[A][1].sp, true);
	for (way = 0; way < 2; way++) {
		honest_make(f, sizeof(f), way, h->sent[way]++);
		mesh_send_raw(m, way ? C : A, 0, f, sizeof(f));
	}
	for (k = 0; k < 100 && !honest_quiet(h) && !m->failure[0]; k++) {
		if (k == 30 && gone)
			gone(m);
		mesh_run(m, 10000000);
	}
	if (mesh_failure(m) || honest_quiet(h))
		return;
	mesh_fail(m, "after a second: a to c %u of %u, c to a %u of %u; receive buffers %u of %u, %u of %u", h->arrived[0],
		  h->sent[0], h->arrived[1], h->sent[1], script_port_posted(m->port[A][0].sp), h->posted[A][0],
		  script_port_posted(m->port[A][1].sp), h->posted[A][1]);
}
