/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memif control channel under a hostile far end, in both roles: messages in any order, true or not, with descriptors
 * of all kinds, several connections at once.
 *
 *   input   what the port is (memif_rig_open()), then operations (enum op) with what they take
 */
#include <unistd.h>

#include "memif_rig.h"

#define OPS_MAX 200
#define FDS_MAX 10u

enum op { OP_CONNECT, OP_RIGHT, OP_BENT, OP_RAW, OP_CONTROL, OP_TRAFFIC, OP_HANG_UP, OP_LISTEN, OP_MEMORY, OP_UP, OP_NUM };

/* As it should be, with one thing changed. */
static void send_bent(struct memif_rig *g, struct fuzz_in *in, unsigned int k, uint16_t type)
{
	struct memif_msg msg;
	int fds[FDS_MAX], fd;
	unsigned int nfds, i;
	uint8_t at = fuzz_u8(in), how = fuzz_u8(in);
	size_t size = sizeof(msg);

	msg = memif_rig_message(g, type, &fd);
	fds[0] = fd;
	nfds = fd >= 0;
	if (how & 1)
		((uint8_t *)&msg)[at % sizeof(msg)] ^= fuzz_u8(in);
	if (how & 2) {
		if (fd >= 0)
			close(fd);
		nfds = how & 4 ? fuzz_u8(in) % FDS_MAX : 1;
		for (i = 0; i < nfds; i++)
			if ((fds[i] = fuzz_fd(1 + fuzz_u8(in) % (FUZZ_FD_KINDS - 1))) < 0)
				fds[i] = fuzz_fd(FUZZ_FD_EVENT);
	}
	if (how & 8)
		size = 1 + at % sizeof(msg);
	memif_rig_send(g, k, &msg, size, fds, nfds);
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

static void send_raw(struct memif_rig *g, struct fuzz_in *in, unsigned int k)
{
	struct memif_msg msg;
	uint8_t kind = fuzz_u8(in);
	int fd = fuzz_fd(kind % FUZZ_FD_KINDS);

	fuzz_fill(in, &msg, fuzz_u8(in) % sizeof(msg));
	memif_rig_send(g, k, &msg, sizeof(msg), &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

/* Words of the far end's memory: cookies, indexes, descriptors. */
static void memory(struct memif_rig *g, struct fuzz_in *in)
{
	uint32_t at = fuzz_u16(in) & ~3u, v = fuzz_u32(in);

	if (g->base && !g->cut && at + 4u <= g->size)
		__atomic_store_n((uint32_t *)(g->base + at), v, __ATOMIC_RELAXED);
}

static void step(struct memif_rig *g, struct fuzz_in *in)
{
	uint8_t op = fuzz_u8(in), arg = fuzz_u8(in);
	unsigned int k = arg % RIG_SOCKS;
	struct memif_msg msg;
	int fd;

	switch (op % OP_NUM) {
	case OP_CONNECT:
		memif_rig_connect(g, k);
		break;
	case OP_RIGHT:
		msg = memif_rig_message(g, arg / RIG_SOCKS % 10, &fd);
		memif_rig_send(g, k, &msg, sizeof(msg), &fd, fd >= 0);
		if (fd >= 0)
			close(fd);
		memif_rig_control(g, 1);
		break;
	case OP_BENT:
		send_bent(g, in, k, arg / RIG_SOCKS % 10);
		memif_rig_control(g, 1);
		break;
	case OP_RAW:
		send_raw(g, in, k);
		break;
	case OP_CONTROL:
		if (arg & 0x40)
			memif_rig_control_first(g, arg & 0x80 ? arg * 40u : arg & 0x7f);
		else
			memif_rig_control(g, arg & 0x80 ? arg * 40u : arg & 0x7f);
		break;
	case OP_TRAFFIC:
		memif_rig_receive(g, arg >> 3, 16);
		memif_rig_transmit(g, arg >> 4, 1 + arg % 8, 1 + arg / 64, 64);
		memif_rig_done(g);
		memif_rig_arm(g, arg >> 5, arg & 1);
		break;
	case OP_HANG_UP:
		memif_rig_hang_up(g, k);
		break;
	case OP_LISTEN:
		memif_rig_listen(g, k);
		break;
	case OP_MEMORY:
		memory(g, in);
		break;
	case OP_UP: /* as far as it goes */
		if (g->m->state == MEMIF_IDLE && g->sock[0] < 0 && arg & 1)
			memif_rig_control(g, 150);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	struct memif_rig g;
	unsigned int ops;

	memif_rig_open(&g, fuzz_u8(&in));
	for (ops = 0; fuzz_left(&in) && ops < OPS_MAX; ops++)
		step(&g, &in);
	memif_rig_close(&g);
	return 0;
}
