/* SPDX-License-Identifier: BSD-3-Clause */
#include "forwarder.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sends a copy, cut into buffers; waits for room as long as the link is up. */
static void forwarder_send(struct forwarder *f, struct env *out, const uint8_t *data, uint32_t len)
{
	const unsigned int need = (len + out->stride - 1) / out->stride;
	struct p2p_seg segs[P2P_MAX_SEGS];
	uint32_t at = 0;
	unsigned int n = 0;

	do {
		env_reap(out);
		if (__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
			return;
	} while (out->tx_head - out->tx_tail + need > out->bufs);
	while (at < len) {
		struct p2p_seg *s = &segs[n];

		*s = (struct p2p_seg){ .region = 1, .len = len - at < out->stride ? len - at : out->stride };
		s->data = out->mem.region[1].base + (size_t)((out->tx_head + n) % out->bufs) * out->stride;
		memcpy(s->data, data + at, s->len);
		at += s->len;
		s->flags = at < len ? P2P_SEG_MORE : 0;
		n++;
	}
	while (out->port->ops->tx_burst(out->port, segs, n) != n) {
		env_reap(out);
		env_control(out);
		if (!out->port->ops->link_up(out->port) || __atomic_load_n(&f->stop, __ATOMIC_RELAXED))
			return;
	}
	out->tx_head += n;
}

static void forwarder_route(uint8_t *d, bool wrong)
{
	uint32_t sum = 0;

	memcpy(d, "\x02\x00\x00\x00\x00\x07\x02\x00\x00\x00\x00\x08", 12);
	d[22]--;
	d[24] = d[25] = 0;
	for (unsigned int i = 14; i < 34; i += 2)
		sum += (uint32_t)d[i] << 8 | d[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum + wrong;
	d[24] = (uint8_t)(sum >> 8);
	d[25] = (uint8_t)sum;
}

static void forwarder_backwards(struct forwarder *f, struct env *out, const uint8_t *data, uint32_t len, uint32_t every)
{
	memcpy(f->kept + f->kept_len, data, len);
	f->kept_len += len;
	if (f->kept_len != every * len)
		return;
	p2p_count(&f->faults, 1);
	for (; f->kept_len; f->kept_len -= len)
		forwarder_send(f, out, f->kept + f->kept_len - len, len);
}

static void forwarder_frame(struct forwarder *f, struct env *out, uint8_t *data, uint32_t len)
{
	static const uint8_t foreign[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x06 };
	const uint32_t every = __atomic_load_n(&f->every, __ATOMIC_RELAXED);
	enum fault fault = (enum fault)__atomic_load_n(&f->fault, __ATOMIC_RELAXED);
	const bool late = f->kept_len && fault != FAULT_KEEP;

	if (fault == FAULT_BACKWARDS) {
		forwarder_backwards(f, out, data, len, every);
		return;
	}
	p2p_count(&f->seen, 1);
	if (p2p_count_read(&f->seen) % (every ? every : 1))
		fault = FAULT_NONE;
	p2p_count(&f->faults, fault != FAULT_NONE);
	switch (fault) {
	case FAULT_DROP:
		return;
	case FAULT_HEAD:
		data[44] ^= 4;
		break;
	case FAULT_LAST:
		data[len - 1] ^= 0x80;
		break;
	case FAULT_SHORT:
		len--;
		break;
	case FAULT_TWICE:
		forwarder_send(f, out, data, len);
		break;
	case FAULT_LATE:
	case FAULT_KEEP:
		if (f->kept_len) {
			p2p_count(&f->faults, (uint64_t)-1);
			break;
		}
		memcpy(f->kept, data, len);
		f->kept_len = len;
		return;
	case FAULT_ROUTE:
	case FAULT_CHECKSUM:
		forwarder_route(data, fault == FAULT_CHECKSUM);
		break;
	case FAULT_FOREIGN:
		forwarder_send(f, out, foreign, sizeof(foreign));
		break;
	default:
		break;
	}
	forwarder_send(f, out, data, len);
	if (late) {
		forwarder_send(f, out, f->kept, f->kept_len);
		f->kept_len = 0;
	}
}

static bool forwarder_step(struct forwarder *f, struct env *in, struct env *out)
{
	static _Thread_local uint8_t frame[P2P_MAX_SEGS * 16384];
	struct p2p_seg segs[ENV_BURST];
	unsigned int n = in->port->ops->rx_burst(in->port, segs, ENV_BURST);
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		const bool more = segs[i].flags & P2P_SEG_MORE;

		memcpy(frame + len, segs[i].data, segs[i].len);
		len += segs[i].len;
		segs[i].len = in->stride;
		segs[i].flags = 0;
		if (more)
			continue;
		forwarder_frame(f, out, frame, len);
		len = 0;
	}
	if (n)
		in->port->ops->rx_post(in->port, segs, n);
	return n;
}

static void *forwarder_main(void *arg)
{
	struct forwarder *f = arg;
	uint64_t looked = 0;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		bool any = forwarder_step(f, &f->port[0], &f->port[1]);

		any |= forwarder_step(f, &f->port[1], &f->port[0]);
		if (p2p_count_read(&f->faults) && __atomic_load_n(&f->fault, __ATOMIC_RELAXED) == FAULT_LEAVE)
			break;
		for (unsigned int i = 0; i < 2; i++) {
			env_reap(&f->port[i]);
			if (env_now_ns() - looked > 1000000u)
				env_control(&f->port[i]);
		}
		if (env_now_ns() - looked > 1000000u)
			looked = env_now_ns();
		if (!any)
			sched_yield();
	}
	env_close(&f->port[0]);
	env_close(&f->port[1]);
	return NULL;
}

void forwarder_start(struct forwarder *f, const char *path0, const char *path1, const char *role, uint32_t bufs,
		     uint32_t stride)
{
	char spec[160];

	memset(f, 0, sizeof(*f));
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(spec, sizeof(spec), "memif:%s,role=%s%s", i ? path1 : path0, role,
			 strcmp(role, "client") ? "" : ",rings=128");
		env_open(&f->port[i], spec, bufs, stride);
	}
	if (pthread_create(&f->thread, NULL, forwarder_main, f)) {
		fprintf(stderr, "can't make the forwarder's thread\n");
		exit(1);
	}
}

void forwarder_stop(struct forwarder *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(f->thread, NULL);
}

void forwarder_fault(struct forwarder *f, enum fault fault, uint32_t every)
{
	__atomic_store_n(&f->seen, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&f->faults, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&f->every, every, __ATOMIC_RELAXED);
	__atomic_store_n(&f->fault, fault, __ATOMIC_RELAXED);
}
