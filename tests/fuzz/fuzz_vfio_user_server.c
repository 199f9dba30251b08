/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server and the PCI function behind it, a software NIC, under a hostile client: messages of every kind,
 * whole, in pieces and out of step, with descriptors of all kinds; the NIC is stepped in between.
 *
 * Server and NIC are new for each input; their one thread is this one.  A NIC that waits for the client's answer to a DMA
 * message gets it within the wait (pthread_cond_timedwait() is linked to answer()), or the clock jumps past the timeout.
 *
 *   input   one byte: not greeted, two queues; operations (enum op) with what they take
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boards/soft/internal.h>
#include <vfio_user/server_priv.h>
#include "fuzz.h"

#define OPS_MAX 200
#define XFER_MAX 16384u
#define BODY_MAX 1024u
#define FDS_MAX 9u

enum op {
	OP_MESSAGE, /* command, flags, body as they come; the size is right */
	OP_ODD,     /* the size isn't */
	OP_RAW,     /* bytes */
	OP_REG,     /* a register's read or write */
	OP_REGION,  /* any region's */
	OP_MAP,
	OP_UNMAP,
	OP_IRQ,
	OP_STEP,    /* DMA by message ends with an error, or is answered */
	OP_GO_ON,   /* the rest of a message sent in pieces */
	OP_GREET,
	OP_LEAVE,
	OP_BRING_UP,/* as a driver would, to the running NIC; one peer is the NIC itself, another lies in lent memory */
	OP_NUM
};

struct world {
	struct vfu_server *s;
	struct soft_nic *nic;
	struct port *port[2];
	int sock;
	uint16_t id;
	uint64_t now_ns;
	uint8_t left[sizeof(struct vfu_header) + BODY_MAX];
	size_t left_n;
	struct fuzz_in *answers; /* of the step that waits; else NULL */
	bool detach;             /* when the step is over */
};
static struct world world;
static int64_t skew_ms;

/* The clock of timeouts, but for sending (vfio_user/msg.c). */
int64_t __real_vfu_now_ms(void);
int64_t __wrap_vfu_now_ms(void);
int64_t __wrap_vfu_now_ms(void)
{
	return __real_vfu_now_ms() + skew_ms;
}

static void pump(struct world *w)
{
	while (w->sock >= 0 && (fuzz_readable(w->s->listener.fd) || (w->s->conn.fd >= 0 && fuzz_readable(w->s->conn.fd)))) {
		vfu_server_turn(w->s);
		if (!fuzz_drain(w->sock)) {
			close(w->sock);
			w->sock = -1;
		}
	}
}

/* The server's connection, if any, is over. */
static void leave(struct world *w)
{
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
	w->left_n = 0;
	while (w->s->conn.fd >= 0)
		vfu_server_turn(w->s);
}

static void arrive(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	leave(w);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", w->s->path);
	w->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->sock < 0 || connect(w->sock, (struct sockaddr *)&sa, sizeof(sa)))
		fuzz_fail("nobody listens any more");
	pump(w);
	if (w->s->conn.fd < 0)
		fuzz_fail("the server takes no client any more");
}

/* The DMA request that lies on the client's socket; false: none. */
static bool take_request(struct world *w, struct vfu_header *h, struct vfu_dma_access *a)
{
	static uint8_t buf[1 << 18];
	ssize_t n = recv(w->sock, buf, sizeof(buf), MSG_DONTWAIT), at;
	bool found = false;

	for (at = 0; n - at >= (ssize_t)(sizeof(*h) + sizeof(*a)); at += from_le32(h->size)) {
		memcpy(h, buf + at, sizeof(*h));
		if (from_le32(h->size) < sizeof(*h))
			fuzz_fail("the server sent a message of %u bytes", from_le32(h->size));
		found = (from_le32(h->flags) & VFU_F_TYPE_MASK) == VFU_F_COMMAND;
		if (!found)
			continue;
		memcpy(a, buf + at + sizeof(*h), sizeof(*a));
		if (from_le64(a->count) > XFER_MAX || from_le32(h->size) > sizeof(*h) + sizeof(*a) + XFER_MAX)
			fuzz_fail("a DMA message of %llu bytes", (unsigned long long)from_le64(a->count));
	}
	return found;
}

/* The client's answer, right or not; false: there is none. */
static bool send_answer(struct world *w, struct fuzz_in *in)
{
	static uint8_t all[sizeof(struct vfu_header) + sizeof(struct vfu_dma_access) + XFER_MAX];
	uint8_t how = fuzz_u8(in), fill;
	struct vfu_dma_access a;
	struct vfu_header h;
	size_t n = sizeof(a), data = 0;

	/* What is half sent would swallow it. */
	if (w->sock < 0 || w->left_n || w->s->conn.have || !take_request(w, &h, &a) || (how & 0x81) == 0x81)
		return false;
	if (from_le16(h.command) == VFU_DMA_READ) {
		data = from_le64(a.count);
		fill = fuzz_u8(in);
		memset(all + sizeof(h) + n, fill, data);
		fuzz_fill(in, all + sizeof(h) + n, how >> 5 & 3 ? data < 16 ? data : 16 : 0);
	}
	h.flags = to_le32(VFU_F_REPLY);
	if (how & 1) {
		if (how & 2)
			h.id = to_le16((uint16_t)(from_le16(h.id) ^ fuzz_u8(in)));
		if (how & 4)
			h.command = to_le16(fuzz_u8(in));
		if (how & 8)
			h.flags = to_le32(VFU_F_REPLY | VFU_F_ERROR);
		if (how & 16)
			((uint8_t *)&a)[fuzz_u8(in) % sizeof(a)] ^= fuzz_u8(in);
		if (how & 32)
			n = fuzz_u8(in) % (sizeof(a) + 1);
		if (how & 64)
			data = fuzz_u16(in) % (XFER_MAX + 1);
	}
	h.size = to_le32((uint32_t)(sizeof(h) + n + data));
	memcpy(all, &h, sizeof(h));
	memcpy(all + sizeof(h), &a, n);
	return fuzz_send(w->sock, all, sizeof(h) + n + data, NULL, 0);
}

/* In place of the wait for an answer (server_dma.c): the server's own thread would take it meanwhile. */
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	struct world *w = &world;

	if (lock != &w->s->lock || !w->answers)
		return __real_pthread_cond_timedwait(cond, lock, until);
	pthread_mutex_unlock(lock);
	if (send_answer(w, w->answers)) {
		while (w->s->conn.fd >= 0 && fuzz_readable(w->s->conn.fd))
			vfu_server_turn(w->s);
	} else {
		skew_ms += w->s->cfg.dma_timeout_ms;
	}
	pthread_mutex_lock(lock);
	return 0;
}

/* As a worker has it that is within a step: later. */
static void detached(void *fn)
{
	if (world.answers)
		world.detach = true;
	else
		soft_function_ops.detached(fn);
}

static void send_message(struct world *w, struct fuzz_in *in, uint16_t command, const void *body, size_t n, uint8_t how)
{
	uint8_t all[sizeof(struct vfu_header) + BODY_MAX + XFER_MAX];
	struct vfu_header h = vfu_msg_header(w->id++, command, VFU_F_COMMAND);
	unsigned int nfds = how & 4 ? 1 : 0, k;
	int fds[FDS_MAX];
	size_t size = sizeof(h) + n, first;

	if (how & 8)
		nfds = fuzz_u8(in) % FDS_MAX;
	for (k = 0; k < nfds; k++)
		if ((fds[k] = fuzz_fd(1 + (k || how & 8 ? fuzz_u8(in) : how >> 4) % (FUZZ_FD_KINDS - 1))) < 0)
			fds[k] = fuzz_fd(FUZZ_FD_EVENT);
	h.size = to_le32((uint32_t)size);
	if (how & 1)
		h.flags = to_le32(VFU_F_COMMAND | VFU_F_NO_REPLY);
	memcpy(all, &h, sizeof(h));
	memcpy(all + sizeof(h), body, n);
	if (w->left_n) /* of the one before: the stream goes on where it was */
		fuzz_send(w->sock, w->left, w->left_n, NULL, 0);
	w->left_n = 0;
	first = size;
	if (how & 2) {
		first = 1 + fuzz_u8(in) % size;
		w->left_n = size - first < sizeof(w->left) ? size - first : 0;
		memcpy(w->left, all + first, w->left_n);
	}
	fuzz_send(w->sock, all, first, fds, nfds);
	for (k = 0; k < nfds; k++)
		close(fds[k]);
	pump(w);
}

static void op_message(struct world *w, struct fuzz_in *in)
{
	uint8_t command = fuzz_u8(in) % 20, how = fuzz_u8(in);
	size_t n = fuzz_u16(in) % BODY_MAX;
	const uint8_t *body = fuzz_bytes(in, &n);

	send_message(w, in, command, body, n, how);
}

static void op_odd(struct world *w, struct fuzz_in *in)
{
	struct vfu_header h;

	fuzz_fill(in, &h, sizeof(h));
	fuzz_send(w->sock, &h, sizeof(h), NULL, 0);
	pump(w);
}

static void op_raw(struct world *w, struct fuzz_in *in)
{
	size_t n = fuzz_u8(in);
	const uint8_t *data = fuzz_bytes(in, &n);

	if (n)
		fuzz_send(w->sock, data, n, NULL, 0);
	pump(w);
}

/* Where the registers are: the first of BAR0, a port's, a peer's. */
static uint32_t reg_offset(struct fuzz_in *in)
{
	static const uint32_t base[] = { 0, P2P_PORT_BLOCK, P2P_PEER_BLOCK, P2P_PUNT_RATE_BLOCK };
	uint8_t block = fuzz_u8(in);
	uint32_t at = fuzz_u8(in);

	return base[block & 3] + (block >> 2) % 4 * (block & 1 ? P2P_PORT_BLOCK_BYTES : P2P_PEER_BLOCK_BYTES) * !!(block & 3) + at;
}

static void op_reg(struct world *w, struct fuzz_in *in, bool any)
{
	uint8_t how = fuzz_u8(in);
	bool write = how & 0x80, wide = how & 0x40;
	struct {
		struct vfu_region_access a;
		uint8_t data[64];
	} m;
	uint32_t region = any ? fuzz_u8(in) % 40 : 0, n = wide ? 8 : 4;
	uint64_t at = any ? fuzz_u32(in) : reg_offset(in);

	if (any)
		n = fuzz_u8(in);
	m.a = (struct vfu_region_access){ to_le64(at), to_le32(region), to_le32(n) };
	n = n < sizeof(m.data) ? n : sizeof(m.data);
	memset(m.data, 0, sizeof(m.data));
	if (write && !any)
		fuzz_fill(in, m.data, wide ? 5 : 3);
	else if (write)
		fuzz_fill(in, m.data, n);
	send_message(w, in, write ? VFU_REGION_WRITE : VFU_REGION_READ, &m, sizeof(m.a) + (write ? n : 0), how & 3);
}

static void op_map(struct world *w, struct fuzz_in *in, bool on)
{
	uint8_t how = fuzz_u8(in);
	uint64_t address = how & 8 ? 1ull << 40 : (uint64_t)fuzz_u8(in) << 16;
	uint64_t size = (uint64_t)(fuzz_u8(in) % 32 + 1) << 12, offset = (uint64_t)fuzz_u8(in) << 12;
	struct vfu_dma_map m = { .argsz = to_le32(sizeof(m)), .flags = to_le32(how & 3), .offset = to_le64(offset),
				 .address = to_le64(address), .size = to_le64(size) };
	struct vfu_dma_unmap u = { .argsz = to_le32(sizeof(u)), .flags = to_le32(how & 2), .address = to_le64(address),
				   .size = to_le64(size) };

	if (how & 2 && !on)
		u.address = u.size = to_le64(0);
	if (on)
		send_message(w, in, VFU_DMA_MAP, &m, sizeof(m), how & 0xf4);
	else
		send_message(w, in, VFU_DMA_UNMAP, &u, sizeof(u), 0);
}

static void op_irq(struct world *w, struct fuzz_in *in)
{
	static const uint32_t data[] = { 1, 2, 4 }, action[] = { 8, 16, 32, 0 }; /* VFIO_IRQ_SET_* */
	uint8_t how = fuzz_u8(in), kind = fuzz_u8(in);
	struct {
		struct vfu_irq_set set;
		uint8_t bools[16];
	} m = { .set = { .argsz = to_le32(sizeof(m.set)), .flags = to_le32(data[kind % 3] | action[kind / 3 % 4]),
			 .index = to_le32(kind / 12 % 8), .start = to_le32(fuzz_u8(in)), .count = to_le32(fuzz_u8(in)) } };
	size_t n = kind % 3 == 1 ? from_le32(m.set.count) : 0;

	n = n < sizeof(m.bools) ? n : sizeof(m.bools);
	fuzz_fill(in, m.bools, n);
	if (kind % 3 == 1)
		m.set.argsz = to_le32((uint32_t)(sizeof(m.set) + n));
	send_message(w, in, VFU_DEVICE_SET_IRQS, &m, sizeof(m.set) + n, how);
}

static void op_greet(struct world *w, struct fuzz_in *in)
{
	static const char usual[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096,\"write_multiple\":true}}";
	uint8_t body[sizeof(struct vfu_version) + 256] = { 0 };
	uint8_t how = fuzz_u8(in);
	size_t n = how & 0x80 ? sizeof(usual) : fuzz_u8(in);
	const uint8_t *text = how & 0x80 ? (const uint8_t *)usual : fuzz_bytes(in, &n);

	body[2] = VFU_MINOR;
	memcpy(body + sizeof(struct vfu_version), text, n);
	send_message(w, in, VFU_VERSION, body, sizeof(struct vfu_version) + n, how & 3);
}

static void write_region(struct world *w, uint32_t region, uint64_t at, uint32_t bytes, uint64_t v)
{
	struct {
		struct vfu_region_access a;
		le64 v;
	} m = { { to_le64(at), to_le32(region), to_le32(bytes) }, to_le64(v) };
	struct fuzz_in none = fuzz_in((const uint8_t *)"", 0);

	if (w->sock >= 0)
		send_message(w, &none, VFU_REGION_WRITE, &m, sizeof(m.a) + bytes, 0);
}

static void introduce(struct world *w, const struct p2p_shape *s, unsigned int peer)
{
	const struct { uint32_t reg, bytes; uint64_t v; } regs[] = {
		{ P2P_PEER_BAR2, 8, peer ? 1ull << 40 : 1ull << 63 },
		{ P2P_PEER_RING, 8, p2p_seg_offset(s, p2p_seg_ring(s, 0)) },
		{ P2P_PEER_BUF, 8, p2p_seg_offset(s, p2p_seg_buf(s, 0, 0)) },
		{ P2P_PEER_BUF_STEP, 8, p2p_seg_offset(s, p2p_seg_buf(s, 1, 0)) - p2p_seg_offset(s, p2p_seg_buf(s, 0, 0)) },
		{ P2P_PEER_RX, 8, p2p_seg_offset(s, p2p_seg_rx(s, 0)) },
		{ P2P_PEER_RX_BYTES, 8, s->ports * p2p_seg_bytes(s, P2P_SEG_RX) },
		{ P2P_PEER_PORTS, 4, s->ports }, { P2P_PEER_SLOTS, 4, s->slots }, { P2P_PEER_BUF_SIZE, 4, s->buf_size },
		{ P2P_PEER_QUEUE_STEP, 8, p2p_plane_bytes(s) }, { P2P_PEER_CTRL, 4, 1 },
	};
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(regs); k++)
		write_region(w, 0, P2P_PEER_BLOCK + peer * P2P_PEER_BLOCK_BYTES + regs[k].reg, regs[k].bytes, regs[k].v);
}

static void op_bring_up(struct world *w, struct fuzz_in *in)
{
	uint8_t mode = fuzz_u8(in) % 3, flags = fuzz_u8(in), nics = 1 + fuzz_u8(in) % 2;
	struct p2p_shape s = { .nics = nics, .ports = 2, .slots = 64, .buf_size = 2048, .rx_bufs = 64, .queues = w->nic->queues,
			       .route_bytes = flags & P2P_FLAG_ROUTE ? 1u << 20 : 0 };
	const struct { uint32_t reg, bytes; uint64_t v; } regs[] = {
		{ P2P_CONTROL, 4, P2P_CTL_RESET }, { P2P_MODE, 4, mode }, { P2P_NIC_INDEX, 4, 0 }, { P2P_NUM_NICS, 4, nics },
		{ P2P_QUEUES, 4, s.queues },
		{ P2P_SLOTS, 4, s.slots }, { P2P_RX_BUFS, 4, s.rx_bufs }, { P2P_FLAGS, 4, flags & 0x1f },
		{ P2P_ROUTE_BYTES, 8, s.route_bytes }, { P2P_CONTROL, 4, P2P_CTL_CONFIGURE },
	};
	unsigned int k;

	write_region(w, 7, 4, 2, 6); /* memory and bus mastering on */
	for (k = 0; k < P2P_ARRAY_SIZE(regs); k++)
		write_region(w, 0, regs[k].reg, regs[k].bytes, regs[k].v);
	for (k = 0; k < nics; k++)
		introduce(w, &s, k);
	write_region(w, 0, P2P_CONTROL, 4, P2P_CTL_ENABLE | (flags >> 4 & P2P_CTL_PERSIST));
}

static void op_step(struct world *w, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned int k, q, steps = how % 16 + 1;

	if (how & 0x80 && w->nic->queues == 1) {
		w->answers = in;
		w->s->self = (pthread_t){ 0 };
	}
	for (k = 0; k < steps && !w->detach; k++) {
		w->now_ns += 1000000;
		for (q = 0; q < w->nic->queues; q++) {
			soft_context_step(&w->nic->context[q], w->now_ns);
			soft_context_control(&w->nic->context[q], w->now_ns);
		}
	}
	w->answers = NULL;
	w->s->self = pthread_self();
	if (w->detach)
		soft_function_ops.detached(w->nic);
	w->detach = false;
}

static void step(struct world *w, struct fuzz_in *in)
{
	uint8_t op = fuzz_u8(in) % OP_NUM;

	if (w->sock < 0)
		arrive(w);
	switch (op) {
	case OP_MESSAGE:
		op_message(w, in);
		break;
	case OP_ODD:
		op_odd(w, in);
		break;
	case OP_RAW:
		op_raw(w, in);
		break;
	case OP_REG:
	case OP_REGION:
		op_reg(w, in, op == OP_REGION);
		break;
	case OP_MAP:
	case OP_UNMAP:
		op_map(w, in, op == OP_MAP);
		break;
	case OP_IRQ:
		op_irq(w, in);
		break;
	case OP_STEP:
		op_step(w, in);
		break;
	case OP_GO_ON:
		if (w->left_n)
			fuzz_send(w->sock, w->left, w->left_n, NULL, 0);
		w->left_n = 0;
		pump(w);
		break;
	case OP_GREET:
		op_greet(w, in);
		break;
	case OP_LEAVE:
		leave(w);
		break;
	case OP_BRING_UP:
		op_bring_up(w, in);
		break;
	}
}

static void world_make(struct world *w, unsigned int queues)
{
	struct soft_nic_opts opts = { .name = "fuzz", .mem_bytes = 8u << 20, .ports = 2, .queues = queues };
	static struct p2p_function_ops ops;
	struct vfu_server_config cfg = { .ops = &ops, .max_data_xfer_bytes = XFER_MAX, .max_dma_maps = 16 };
	char path[128], err[SOFT_ERR_MAX];
	unsigned int p;

	ops = soft_function_ops;
	ops.detached = detached;
	*w = (struct world){ .sock = -1, .now_ns = 1000000000 };
	for (p = 0; p < 2; p++) {
		if (port_open(&w->port[p], queues > 1 ? "gen:,queues=2,rate=1000" : "null:", err))
			fuzz_fail("%s", err);
		opts.port[p] = w->port[p];
	}
	if (soft_nic_create(&w->nic, &opts, err))
		fuzz_fail("%s", err);
	for (p = 0; p < opts.queues; p++)
		w->nic->context[p].random_seed = 1 + p;
	snprintf(path, sizeof(path), "%s/socket", fuzz_dir());
	cfg.path = path;
	cfg.fn = w->nic;
	if (vfu_server_create(&cfg, &w->s))
		fuzz_fail("no server at %s", path);
	w->s->self = pthread_self();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	unsigned int ops, p;
	uint8_t how = fuzz_u8(&in);
	struct world *w = &world;

	world_make(w, how & 2 ? 2 : 1);
	arrive(w);
	if (!(how & 1)) {
		struct fuzz_in greeting = fuzz_in((const uint8_t *)"\x80", 1);

		op_greet(w, &greeting);
	}
	for (ops = 0; fuzz_left(&in) && ops < OPS_MAX; ops++)
		step(w, &in);
	arrive(w); /* the next client is served */
	leave(w);
	vfu_server_destroy(w->s);
	soft_nic_destroy(w->nic);
	for (p = 0; p < 2; p++)
		w->port[p]->ops->close(w->port[p]);
	return 0;
}
