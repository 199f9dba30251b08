/* SPDX-License-Identifier: BSD-3-Clause */
#include "env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ports/schemes.h"

uint64_t env_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void env_die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void env_region(struct port_region *r, size_t size)
{
	r->size = size;
	r->fd = memfd_create("env", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)size) < 0 ||
	    fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		env_die("memfd", strerror(errno));
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->base == MAP_FAILED)
		env_die("mmap", strerror(errno));
}

int env_port_open(struct port **out, const char *spec, char err[PORT_ERR_MAX])
{
	struct port_spec s;
	int ret = port_spec_parse(&s, spec, err);

	return ret ? ret : port_memif_ops.open(out, &s, err);
}

static void env_start(struct env *e, uint32_t bufs, uint32_t stride, unsigned int queues)
{
	struct p2p_seg seg = { 0 };

	e->bufs = bufs;
	e->stride = stride;
	e->seed = 1;
	e->mem.n = 2;
	e->mem.buf_size = stride;
	e->mem.rx_bufs = bufs;
	e->mem.queues = queues;
	env_region(&e->mem.region[0], (size_t)bufs * stride);
	env_region(&e->mem.region[1], (size_t)bufs * stride);
	if (e->port->ops->start(e->port, &e->mem))
		env_die(e->port->name, "start failed");
	for (uint32_t i = 0; i < bufs; i++) {
		seg.data = e->mem.region[0].base + (size_t)i * stride;
		seg.len = stride;
		seg.cookie = i;
		if (e->port->ops->rx_post(e->port, &seg, 1) != 1)
			env_die(e->port->name, "rx_post refused a buffer");
	}
}

void env_open_queues(struct env *e, unsigned int queues, const char *spec, uint32_t bufs, uint32_t stride)
{
	char err[PORT_ERR_MAX];

	memset(e, 0, queues * sizeof(*e));
	if (env_port_open(&e->port, spec, err))
		env_die(spec, err);
	for (unsigned int q = 1; q < queues; q++) {
		e[q].port = e->port->ops->queue(e->port, q);
		if (!e[q].port)
			env_die(spec, "has not so many queues");
	}
	for (unsigned int q = 0; q < queues; q++)
		env_start(&e[q], bufs, stride, queues);
}

void env_close_queues(struct env *e, unsigned int queues)
{
	for (unsigned int q = queues; q-- > 0;)
		e[q].port->ops->stop(e[q].port);
	e->port->ops->close(e->port);
	for (unsigned int q = 0; q < queues; q++) {
		for (unsigned int i = 0; i < e[q].mem.n; i++) {
			munmap(e[q].mem.region[i].base, e[q].mem.region[i].size);
			close(e[q].mem.region[i].fd);
		}
	}
}

void env_open(struct env *e, const char *spec, uint32_t bufs, uint32_t stride)
{
	env_open_queues(e, 1, spec, bufs, stride);
}

void env_close(struct env *e)
{
	env_close_queues(e, 1);
}

static inline uint32_t env_word(uint64_t seq, uint32_t seed, uint32_t i)
{
	uint64_t x = (seq + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)(i + seed * 2654435761u) * 0xbf58476d1ce4e5b9u;

	return (uint32_t)(x >> 29);
}

/* Ethernet header, an IPv4-looking ethertype left out on purpose: nothing may parse it. */
void env_fill(uint8_t *data, uint32_t len, uint32_t seed, uint64_t seq)
{
	static const uint8_t header[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	uint32_t i;

	memcpy(data, header, 14);
	memcpy(data + 14, &seq, 8);
	for (i = 22; i + 4 <= len; i += 4) {
		uint32_t w = env_word(seq, seed, i);

		memcpy(data + i, &w, 4);
	}
	for (; i < len; i++)
		data[i] = (uint8_t)env_word(seq, seed, i);
}

uint64_t env_check(const uint8_t *data, uint32_t len, uint32_t seed)
{
	uint8_t head[22];
	uint64_t seq;
	uint32_t i, w;

	if (len < 22)
		return UINT64_MAX;
	memcpy(&seq, data + 14, 8);
	env_fill(head, 22, seed, seq);
	if (memcmp(head, data, 22))
		return UINT64_MAX;
	for (i = 22; i + 4 <= len; i += 4) {
		memcpy(&w, data + i, 4);
		if (w != env_word(seq, seed, i))
			return UINT64_MAX;
	}
	for (; i < len; i++) {
		if (data[i] != (uint8_t)env_word(seq, seed, i))
			return UINT64_MAX;
	}
	return seq;
}

unsigned int env_send(struct env *e, unsigned int n, uint32_t len, uint32_t seg_max)
{
	struct p2p_seg segs[ENV_BURST * P2P_MAX_SEGS];
	static _Thread_local uint8_t frame[P2P_MAX_SEGS * 16384];
	unsigned int k = 0, per = (len + seg_max - 1) / seg_max, took;

	if (n > ENV_BURST)
		n = ENV_BURST;
	for (unsigned int f = 0; f < n && e->tx_head - e->tx_tail + k + per <= e->bufs; f++) {
		uint32_t at = 0;

		if (per > 1)
			env_fill(frame, len, e->seed, e->sent + f);
		do {
			struct p2p_seg *s = &segs[k];
			uint32_t part = len - at < seg_max ? len - at : seg_max;

			*s = (struct p2p_seg){ .region = 1, .len = part };
			s->data = e->mem.region[1].base + (size_t)((e->tx_head + k) % e->bufs) * e->stride;
			s->flags = at + part < len ? P2P_SEG_MORE : 0;
			if (per > 1)
				memcpy(s->data, frame + at, part);
			else
				env_fill(s->data, len, e->seed, e->sent + f);
			at += part;
			k++;
		} while (at < len);
	}
	took = e->port->ops->tx_burst(e->port, segs, k);
	e->tx_head += took;
	e->sent += took / per;
	return took / per;
}

void env_reap(struct env *e)
{
	e->tx_tail += e->port->ops->tx_done(e->port);
}

unsigned int env_receive(struct env *e, uint32_t seed)
{
	struct p2p_seg segs[ENV_BURST];
	static _Thread_local uint8_t frame[P2P_MAX_SEGS * 16384];
	unsigned int n = e->port->ops->rx_burst(e->port, segs, ENV_BURST), frames = 0;
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *whole = frame;
		uint64_t seq;

		if (len || (segs[i].flags & P2P_SEG_MORE))
			memcpy(frame + len, segs[i].data, segs[i].len);
		else
			whole = segs[i].data;
		len += segs[i].len;
		segs[i].len = e->stride;
		if (segs[i].flags & P2P_SEG_MORE) {
			segs[i].flags = 0;
			continue;
		}
		seq = env_check(whole, len, seed);
		len = 0;
		frames++;
		if (seq == UINT64_MAX) {
			e->corrupted++;
		} else if (seq < e->received) {
			e->reordered++;
		} else {
			e->lost += seq - e->received;
			e->received = seq + 1;
		}
	}
	if (n && e->port->ops->rx_post(e->port, segs, n) != n)
		env_die(e->port->name, "rx_post refused buffers that were its own");
	return frames;
}

void env_control(struct env *e)
{
	e->port->ops->control(e->port, env_now_ns());
}
