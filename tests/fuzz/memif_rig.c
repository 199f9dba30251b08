/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ports/schemes.h>
#include "memif_rig.h"

static struct port_memory lent[RIG_LANES]; /* of all inputs */
static int listener = -1;

static struct sockaddr_un address(socklen_t *len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "p2pnic-fuzz-%d", getpid()));
	return sa;
}

static void lend(struct port_region *r, size_t size)
{
	r->size = size;
	r->fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)size) || fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		fuzz_fail("no memory to lend");
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->base == MAP_FAILED)
		fuzz_fail("no memory to lend");
}

static void once(void)
{
	struct sockaddr_un sa;
	unsigned int k;
	socklen_t len;

	for (k = 0; k < RIG_LANES; k++) {
		lent[k] = (struct port_memory){ .n = 2, .buf_size = RIG_STRIDE, .rx_bufs = RIG_BUFS };
		lend(&lent[k].region[0], RIG_BUFS * RIG_STRIDE);
		lend(&lent[k].region[1], RIG_BUFS * RIG_STRIDE);
	}
	sa = address(&len);
	sa.sun_path[1] = 'P'; /* the far end's, when it is the server */
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&sa, len) || listen(listener, 8))
		fuzz_fail("can't listen: %s", strerror(errno));
}

static void post(struct memif_lane *l, uint32_t k)
{
	struct p2p_seg seg = { .data = l->mem.region[0].base + k * RIG_STRIDE, .len = RIG_STRIDE, .cookie = k };

	if (l->posted[k])
		fuzz_fail("buffer %u came back twice", k);
	l->posted[k] = l->port->ops->rx_post(l->port, &seg, 1) == 1;
	if (!l->posted[k])
		fuzz_fail("buffer %u is not taken back", k);
}

static void start(struct memif_rig *g, unsigned int lane)
{
	struct memif_lane *l = &g->lane[lane];
	uint32_t k;

	l->mem = lent[lane];
	l->mem.queues = g->lanes;
	l->port = lane ? g->m->port.ops->queue(&g->m->port, lane) : &g->m->port;
	if (!l->port || l->port->ops->start(l->port, &l->mem))
		fuzz_fail("lane %u of %u does not start", lane, g->lanes);
	for (k = 0; k < RIG_BUFS; k++)
		post(l, k);
}

/* The far end's memory as client: rings one behind the other, buffers behind them. */
static void far_memory(struct memif_rig *g)
{
	unsigned int k;

	g->size = FUZZ_FD_BYTES;
	g->memfd = fuzz_fd(g->sealed ? FUZZ_FD_SEALED : FUZZ_FD_MEMORY);
	g->base = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_SHARED, g->memfd, 0);
	if (g->base == MAP_FAILED)
		fuzz_fail("no memory of the far end's");
	for (k = 0; k < 2 * RIG_MAX_RINGS; k++)
		((struct memif_ring *)(g->base + k * RIG_RING))->cookie = MEMIF_COOKIE;
}

void memif_rig_open(struct memif_rig *g, uint8_t how)
{
	char spec[128], err[PORT_ERR_MAX];
	struct port_spec s;
	struct port *p;
	unsigned int k;

	if (listener < 0)
		once();
	*g = (struct memif_rig){ .server = how & 1, .lanes = (how & 0x30) == 0x20 ? RIG_LANES : 1, .sealed = !(how & 8),
				 .memfd = -1, .now_ns = 1000000000, .sock = { -1, -1, -1, -1 } };
	g->queues = g->lanes * (how & 2 ? 2 : 1);
	snprintf(spec, sizeof(spec), "memif:@%c2pnic-fuzz-%d,role=%s,id=7,queues=%u%s%s", g->server ? 'p' : 'P', getpid(),
		 g->server ? "server" : "client", g->queues, g->server ? "" : ",rings=8", how & 4 ? ",secret=psst" : "");
	if (port_spec_parse(&s, spec, err) || port_memif_ops.open(&p, &s, err))
		fuzz_fail("%s", err);
	g->m = memif_of(p);
	if (g->server)
		far_memory(g);
	for (k = 0; k < g->lanes; k++)
		start(g, k);
}

void memif_rig_close(struct memif_rig *g)
{
	struct port *p = &g->m->port;
	unsigned int k;
	int fd;

	for (k = g->lanes; k--;)
		g->lane[k].port->ops->stop(g->lane[k].port);
	p->ops->close(p);
	for (k = 0; k < RIG_SOCKS; k++)
		memif_rig_hang_up(g, k);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	if (g->base)
		munmap(g->base, g->size);
	if (g->memfd >= 0)
		close(g->memfd);
}

/* ---- the port ---- */

void memif_rig_control_first(struct memif_rig *g, uint32_t ms)
{
	g->now_ns += ms * 1000000ull;
	g->m->port.ops->control(&g->m->port, g->now_ns);
}

/* What a lane has been asked for it does in its own; that it has done so is seen in the first's next. */
void memif_rig_control(struct memif_rig *g, uint32_t ms)
{
	unsigned int k;

	memif_rig_control_first(g, ms);
	for (k = 1; k < g->lanes; k++) {
		g->lane[k].port->ops->control(g->lane[k].port, g->now_ns);
		memif_rig_control_first(g, 0);
	}
}

bool memif_rig_is_up(const struct memif_rig *g)
{
	unsigned int k;

	for (k = 0; k < g->lanes; k++)
		if (!g->lane[k].port->ops->link_up(g->lane[k].port))
			return false;
	return true;
}

void memif_rig_arm(struct memif_rig *g, unsigned int lane, bool sleeping)
{
	struct port *p = g->lane[lane % g->lanes].port;

	p->ops->arm(p, sleeping);
	p->ops->next_event(p, g->now_ns);
}

void memif_rig_receive(struct memif_rig *g, unsigned int lane, unsigned int n)
{
	struct memif_lane *l = &g->lane[lane % g->lanes];
	struct p2p_seg segs[RIG_BUFS];
	unsigned int got = l->port->ops->rx_burst(l->port, segs, n), k, run = 0;

	if (got > n)
		fuzz_fail("%u segments for %u", got, n);
	for (k = 0; k < got; k++) {
		const struct p2p_seg *s = &segs[k];

		if (s->cookie >= RIG_BUFS || s->region || s->data != l->mem.region[0].base + s->cookie * RIG_STRIDE)
			fuzz_fail("a segment that is no buffer: cookie %u, region %u", s->cookie, s->region);
		if (!l->posted[s->cookie])
			fuzz_fail("buffer %u received, which the port has not", s->cookie);
		if (!s->len || s->len > RIG_STRIDE || s->flags & ~P2P_SEG_MORE)
			fuzz_fail("a segment of %u bytes, flags %x", s->len, s->flags);
		l->posted[s->cookie] = false;
		run = s->flags & P2P_SEG_MORE ? run + 1 : 0;
		if (run >= P2P_MAX_SEGS)
			fuzz_fail("a frame of more than %u segments", P2P_MAX_SEGS);
	}
	if (run)
		fuzz_fail("a burst ends within a frame");
	for (k = 0; k < got; k++)
		post(l, segs[k].cookie);
}

void memif_rig_transmit(struct memif_rig *g, unsigned int lane, unsigned int frames, unsigned int segs, uint32_t len)
{
	struct memif_lane *l = &g->lane[lane % g->lanes];
	struct p2p_seg s[RIG_BUFS];
	unsigned int n = 0, took;

	for (; frames && n + segs <= RIG_BUFS - (l->tx_head - l->tx_tail); frames--) {
		for (unsigned int k = 0; k < segs; k++, n++)
			s[n] = (struct p2p_seg){ .data = l->mem.region[1].base + (l->tx_head + n) % RIG_BUFS * RIG_STRIDE, .region = 1,
						 .len = len, .flags = k + 1 < segs ? P2P_SEG_MORE : 0 };
	}
	took = n ? l->port->ops->tx_burst(l->port, s, n) : 0;
	if (took > n || took % segs)
		fuzz_fail("%u of %u segments taken, frames have %u", took, n, segs);
	l->tx_head += took;
}

void memif_rig_done(struct memif_rig *g)
{
	struct memif_lane *l;
	unsigned int n;

	for (l = g->lane; l != g->lane + g->lanes; l++) {
		n = l->port->ops->tx_done(l->port);
		if (n > l->tx_head - l->tx_tail)
			fuzz_fail("%u segments done, %u were under way", n, l->tx_head - l->tx_tail);
		l->tx_tail += n;
	}
}

/* ---- the far end ---- */

void memif_rig_hang_up(struct memif_rig *g, unsigned int k)
{
	if (g->sock[k] >= 0)
		close(g->sock[k]);
	g->sock[k] = -1;
}

void memif_rig_connect(struct memif_rig *g, unsigned int k)
{
	struct sockaddr_un sa;
	socklen_t len;
	int fd;

	memif_rig_hang_up(g, k);
	if (!g->server) {
		/* The last of them: the port has given up those before. */
		while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
			memif_rig_hang_up(g, k);
			g->sock[k] = fd;
		}
		g->rings[0] = g->rings[1] = g->regions = 0;
		return;
	}
	sa = address(&len);
	g->sock[k] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->sock[k] < 0 || connect(g->sock[k], (struct sockaddr *)&sa, len))
		memif_rig_hang_up(g, k);
	g->rings[0] = g->rings[1] = g->regions = 0;
}

static void take_region(struct memif_rig *g, const struct memif_add_region *a, int fd)
{
	uint64_t size = a->size;
	void *base;

	g->regions = a->index + 1u;
	if (a->index || fd < 0)
		return;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		fuzz_fail("the port's rings can't be mapped");
	if (g->base)
		munmap(g->base, g->size);
	g->base = base;
	g->size = size;
}

static void take_ring(struct memif_rig *g, const struct memif_add_ring *a)
{
	bool c2s = a->flags & MEMIF_ADD_RING_C2S;

	if (a->index >= RIG_MAX_RINGS)
		fuzz_fail("ring %u", a->index);
	g->offset[c2s][a->index] = a->offset;
	g->log2[c2s][a->index] = a->log2_size;
	g->rings[c2s] = a->index + 1u;
}

void memif_rig_listen(struct memif_rig *g, unsigned int k)
{
	struct memif_msg msg;
	int fd, ret;

	while (g->sock[k] >= 0 && (ret = memif_msg_recv(g->sock[k], &msg, &fd))) {
		if (ret < 0) {
			memif_rig_hang_up(g, k);
			return;
		}
		if (!g->server && msg.type == MEMIF_MSG_ADD_REGION)
			take_region(g, &msg.add_region, fd);
		else if (!g->server && msg.type == MEMIF_MSG_ADD_RING)
			take_ring(g, &msg.add_ring);
		if (fd >= 0)
			close(fd);
	}
}

struct memif_msg memif_rig_message(struct memif_rig *g, uint16_t type, int *fd)
{
	struct memif_msg msg = { .type = type };
	bool c2s = g->rings[1] < g->queues;
	unsigned int i = g->rings[c2s];

	*fd = -1;
	if (type == MEMIF_MSG_HELLO) {
		msg.hello.min_version = msg.hello.max_version = MEMIF_VERSION;
		msg.hello.max_region = 8;
		msg.hello.max_s2c_ring = msg.hello.max_c2s_ring = (uint16_t)(g->queues - 1);
		msg.hello.max_log2_ring = RIG_LOG2;
	} else if (type == MEMIF_MSG_INIT) {
		msg.init.version = MEMIF_VERSION;
		msg.init.id = 7;
		memcpy(msg.init.secret, g->m->secret, MEMIF_SECRET_LEN);
	} else if (type == MEMIF_MSG_ADD_REGION) {
		msg.add_region.index = (uint16_t)g->regions++;
		msg.add_region.size = g->size;
		*fd = g->memfd >= 0 ? dup(g->memfd) : -1;
	} else if (type == MEMIF_MSG_ADD_RING && i < RIG_MAX_RINGS) {
		msg.add_ring.flags = c2s ? MEMIF_ADD_RING_C2S : 0;
		msg.add_ring.index = (uint16_t)i;
		msg.add_ring.offset = g->offset[c2s][i] = (g->rings[0] + g->rings[1]) * RIG_RING;
		msg.add_ring.log2_size = g->log2[c2s][i] = RIG_LOG2;
		g->rings[c2s]++;
		*fd = fuzz_fd(FUZZ_FD_EVENT);
	}
	return msg;
}

bool memif_rig_send(struct memif_rig *g, unsigned int k, const struct memif_msg *msg, size_t size, const int *fds, unsigned int nfds)
{
	return g->sock[k] >= 0 && fuzz_send(g->sock[k], msg, size, fds, nfds);
}

static void say(struct memif_rig *g, uint16_t type)
{
	struct memif_msg msg;
	int fd;

	msg = memif_rig_message(g, type, &fd);
	memif_rig_send(g, 0, &msg, sizeof(msg), &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
	memif_rig_control(g, 1);
	memif_rig_listen(g, 0);
}

static bool try_up(struct memif_rig *g)
{
	unsigned int k;

	memif_rig_control(g, 1);
	memif_rig_connect(g, 0);
	memif_rig_control(g, 1);
	if (g->server) {
		say(g, MEMIF_MSG_INIT);
		say(g, MEMIF_MSG_ADD_REGION);
		for (k = 0; k < 2 * g->queues; k++)
			say(g, MEMIF_MSG_ADD_RING);
		say(g, MEMIF_MSG_CONNECT);
		memif_rig_control(g, 200); /* unsealed memory is held back */
	} else {
		say(g, MEMIF_MSG_HELLO);
		for (k = 0; k < 1 + 1 + g->lanes * lent[0].n + 2 * g->queues; k++)
			say(g, MEMIF_MSG_ACK);
		say(g, MEMIF_MSG_CONNECTED);
	}
	return memif_rig_is_up(g);
}

/* A connection that waited to be accepted may be one that the port is about to give up: the next one is new. */
void memif_rig_up(struct memif_rig *g)
{
	unsigned int tries;

	for (tries = 0; tries < 3; tries++) {
		if (try_up(g))
			return;
		memif_rig_hang_up(g, 0);
		memif_rig_control(g, 1100);
		memif_rig_control(g, 200);
	}
	fuzz_fail("the link does not come up: %s", port_memif_reason(&g->m->port));
}

struct memif_ring *memif_rig_ring(struct memif_rig *g, bool c2s, unsigned int index)
{
	return (struct memif_ring *)(g->base + g->offset[c2s][index % g->queues]);
}
