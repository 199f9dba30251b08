/* SPDX-License-Identifier: BSD-3-Clause */
/* DMA_READ and DMA_WRITE towards the client; how they avoid locking up is in server.h. */
#include <errno.h>
#include <string.h>
#include <sched.h>
#include <sys/socket.h>

#include "server_priv.h"

static void abandon(struct vfu_server *s, uint16_t id)
{
	s->abandoned[id / 64] |= 1ull << (id % 64);
}

static bool take_abandoned(struct vfu_server *s, uint16_t id)
{
	uint64_t bit = 1ull << (id % 64);
	bool was = s->abandoned[id / 64] & bit;

	s->abandoned[id / 64] &= ~bit;
	return was;
}

/* Under lock: everyone who waits gets result; replies that still come are dropped. */
static void end_waits(struct vfu_server *s, int result)
{
	for (struct vfu_dma_wait *w = s->waits; w; w = w->next) {
		if (w->done)
			continue;
		w->done = true;
		w->result = result;
		abandon(s, w->id);
	}
	pthread_cond_broadcast(&s->cond);
}

void vfu_server_op_begin(struct vfu_server *s, bool exclusive)
{
	pthread_mutex_lock(&s->lock);
	s->op_running = true;
	s->op_exclusive = exclusive;
	if (s->waits) {
		vfu_stat(&s->stats.served);
		if (exclusive || !s->cfg.ops->serve)
			end_waits(s, -EIO);
		pthread_cond_broadcast(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
}

void vfu_server_op_end(struct vfu_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->op_running = false;
	s->op_exclusive = false;
	pthread_mutex_unlock(&s->lock);
}

void vfu_server_dma_open(struct vfu_server *s)
{
	pthread_mutex_lock(&s->lock);
	memset(s->abandoned, 0, sizeof(s->abandoned));
	s->dma_max = s->conn.peer.max_data_xfer < s->cfg.max_data_xfer_bytes ? s->conn.peer.max_data_xfer
									      : s->cfg.max_data_xfer_bytes;
	s->dma_stalled = false;
	s->up = true;
	pthread_mutex_unlock(&s->lock);
}

void vfu_server_dma_close(struct vfu_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->up = false;
	end_waits(s, -ENOTCONN);
	pthread_mutex_unlock(&s->lock);
}

static struct vfu_dma_wait *find_wait(struct vfu_server *s, uint16_t id)
{
	struct vfu_dma_wait *w = s->waits;

	while (w && (w->id != id || w->done))
		w = w->next;
	return w;
}

/* What a reply that claims success must hold. */
static int take_reply(const struct vfu_dma_wait *w, const uint8_t *body, size_t len)
{
	struct vfu_dma_access a;

	if (w->command == VFU_DMA_WRITE) /* some send the count in 4 bytes, as the text says, in 8, or nothing */
		return len <= sizeof(a) ? 0 : -EIO;
	if (len != sizeof(a) + w->len)
		return -EIO;
	memcpy(&a, body, sizeof(a));
	if (from_le64(a.address) != w->iova || from_le64(a.count) != w->len)
		return -EIO;
	memcpy(w->dst, body + sizeof(a), w->len);
	return 0;
}

int vfu_server_dma_reply(struct vfu_server *s, const struct vfu_header *h, const uint8_t *body, size_t len)
{
	uint16_t id = from_le16(h->id);
	struct vfu_dma_wait *w;
	int err = 0;

	pthread_mutex_lock(&s->lock);
	s->dma_stalled = false;
	w = find_wait(s, id);
	if (!w || w->command != from_le16(h->command)) {
		err = !w && take_abandoned(s, id) ? 0 : -EPROTO;
		goto unlock;
	}
	w->result = from_le32(h->flags) & VFU_F_ERROR ? -EIO : take_reply(w, body, len);
	w->done = true;
	pthread_cond_broadcast(&s->cond);
unlock:
	pthread_mutex_unlock(&s->lock);
	return err;
}

static bool waits_already(struct vfu_server *s)
{
	for (struct vfu_dma_wait *w = s->waits; w; w = w->next)
		if (pthread_equal(w->thread, pthread_self()))
			return true;
	return false;
}

static int take_id(struct vfu_server *s, uint16_t *id)
{
	for (unsigned int tries = 0; tries < 65536; tries++) {
		*id = s->next_id++;
		if (!find_wait(s, *id) && !(s->abandoned[*id / 64] & (1ull << (*id % 64))))
			return 0;
	}
	return -EIO;
}

static int enlist(struct vfu_server *s, struct vfu_dma_wait *w)
{
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->up)
		err = -ENOTCONN;
	else if (s->op_exclusive || (s->op_running && !s->cfg.ops->serve) || pthread_equal(pthread_self(), s->self) ||
		 waits_already(s))
		err = -EIO;
	else if (s->dma_stalled)
		err = -ETIMEDOUT;
	else
		err = take_id(s, &w->id);
	if (!err) {
		w->next = s->waits;
		s->waits = w;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

static void delist(struct vfu_server *s, struct vfu_dma_wait *w)
{
	struct vfu_dma_wait **p = &s->waits;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
}

/* Waits for w's end, serving meanwhile.  Called and left under lock. */
static void await(struct vfu_server *s, struct vfu_dma_wait *w, int64_t deadline_ms)
{
	struct timespec until = { deadline_ms / 1000, deadline_ms % 1000 * 1000000 };

	while (!w->done) {
		if (vfu_now_ms() >= deadline_ms) {
			w->done = true;
			w->result = -ETIMEDOUT;
			abandon(s, w->id);
			s->dma_stalled = true;
			vfu_stat(&s->stats.dma_timeouts);
		} else if (s->op_running && s->cfg.ops->serve) {
			pthread_mutex_unlock(&s->lock);
			s->cfg.ops->serve(s->cfg.fn);
			sched_yield();
			pthread_mutex_lock(&s->lock);
		} else {
			pthread_cond_timedwait(&s->cond, &s->lock, &until);
		}
	}
}

/* One message and its reply. */
static int transfer(struct vfu_server *s, uint16_t command, uint64_t iova, void *dst, const void *src, size_t len)
{
	struct vfu_dma_wait w = {
		.thread = pthread_self(), .command = command, .iova = iova, .dst = dst, .len = len
	};
	struct vfu_dma_access a = { .address = to_le64(iova), .count = to_le64(len) };
	struct iovec body[2] = { { &a, sizeof(a) }, { (void *)(uintptr_t)src, len } };
	int64_t deadline_ms = vfu_now_ms() + s->cfg.dma_timeout_ms;
	struct vfu_header h;
	int err = enlist(s, &w);

	if (err)
		return err;
	h = vfu_msg_header(w.id, command, VFU_F_COMMAND);
	pthread_mutex_lock(&s->send_lock);
	if (s->conn.fd >= 0) {
		err = vfu_msg_send(s->conn.fd, &h, body, src ? 2 : 1, NULL, 0, deadline_ms);
		if (err)
			shutdown(s->conn.fd, SHUT_RDWR);
	} else {
		err = -ENOTCONN;
	}
	pthread_mutex_unlock(&s->send_lock);
	vfu_stat(src ? &s->stats.dma_writes : &s->stats.dma_reads);
	pthread_mutex_lock(&s->lock);
	if (!err)
		await(s, &w, deadline_ms);
	delist(s, &w);
	pthread_mutex_unlock(&s->lock);
	if (err)
		return -ENOTCONN;
	return w.result;
}

static int transfer_all(struct vfu_server *s, uint16_t command, uint64_t iova, uint8_t *dst, const uint8_t *src,
			size_t len)
{
	size_t max;

	pthread_mutex_lock(&s->lock);
	max = s->dma_max;
	pthread_mutex_unlock(&s->lock);
	if (!max)
		return -ENOTCONN;
	for (size_t done = 0; done < len;) {
		size_t n = len - done < max ? len - done : max;
		int err = transfer(s, command, iova + done, dst ? dst + done : NULL, src ? src + done : NULL, n);

		if (err) {
			vfu_stat(&s->stats.dma_errors);
			return err;
		}
		done += n;
	}
	return 0;
}

static int dma_read(void *opaque, uint64_t iova, void *dst, size_t len)
{
	return transfer_all(opaque, VFU_DMA_READ, iova, dst, NULL, len);
}

static int dma_write(void *opaque, uint64_t iova, const void *src, size_t len)
{
	return transfer_all(opaque, VFU_DMA_WRITE, iova, NULL, src, len);
}

const struct p2p_dma_msg_ops vfu_server_dma_ops = { .read = dma_read, .write = dma_write };
const struct p2p_dma_msg_ops vfu_server_dma_beyond_ops = { .read = dma_read, .write = dma_write, .beyond_maps = true };
